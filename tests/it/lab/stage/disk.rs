//! A disk of its own for the state directory, small enough to be filled.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::Lab;

/// Room for the journal of a whole migration, and no more than is filled at once.
const SIZE: &str = "size=8m";

/// A small disk under the state directory, until it is dropped.
pub struct Disk(PathBuf);

impl Lab {
    /// Puts the state directory on a small disk.
    pub fn small_disk(&self) -> Disk {
        let path = self.states();
        fs::create_dir_all(&path).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "crossfade-lab"]).arg(&path).status();
        assert!(mounted.unwrap().success(), "a tmpfs cannot be mounted");
        Disk(path)
    }
}

impl Disk {
    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Leaves no room, not even in what is allotted already.
    pub fn fill(&self) {
        let full = fs::write(self.ballast(), vec![0; 16 << 20]);
        assert!(full.is_err(), "the disk is too large to be filled");
    }

    /// Makes room again.
    pub fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever still runs there is ended right after.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
