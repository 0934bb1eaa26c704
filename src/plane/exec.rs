//! A plane that a program drives: it is started for each verb, reads one request and writes one answer.
//!
//! The contract is in [`super::contract`]. A program that ends with another code than 0 has refused, and what it wrote on standard
//! error says why; one that takes too long is ended. It is only for `crossfade run`: a controller starts no programs for whoever
//! may write a Migration.

use std::io;
use std::process::Stdio;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

use super::contract::{Line, MOST_BYTES, SHEET, Spoken, WRITE};
use super::{Plane, PlaneError};
use crate::policy::ExecSpec;

/// A program and its arguments.
struct Program(ExecSpec);

/// A driver that starts the program of `spec`. Starts nothing yet.
pub fn exec(spec: ExecSpec) -> impl Plane {
    Spoken { line: Program(spec), sheet: SHEET }
}

impl Program {
    async fn run(&self, request: &str) -> io::Result<(bool, Vec<u8>, String)> {
        let (program, arguments) = self.0.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let tell = async {
            if let Some(mut stdin) = stdin {
                // A program may answer without having read everything.
                let _ = stdin.write_all(request.as_bytes()).await;
            }
        };
        let (_, answer, why) = tokio::join!(tell, read(stdout), read(stderr));
        let status = child.wait().await?;
        Ok((status.success(), answer?, String::from_utf8_lossy(&why?).trim().to_owned()))
    }
}

/// Everything there is, up to what an answer may have.
async fn read(pipe: Option<impl tokio::io::AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(MOST_BYTES as u64 + 1).read_to_end(&mut read).await?;
    }
    Ok(read)
}

#[async_trait]
impl Line for Program {
    async fn exchange(&self, request: String) -> Result<Vec<u8>, PlaneError> {
        let (well, answer, why) = match timeout(WRITE, self.run(&request)).await {
            Ok(Ok(ran)) => ran,
            Ok(Err(source)) => return Err(PlaneError::Unreachable { address: self.place(), source }),
            Err(_) => return Err(PlaneError::TimedOut { address: self.place(), seconds: WRITE.as_secs() }),
        };
        match (well, answer.len() > MOST_BYTES) {
            (true, false) => Ok(answer),
            (true, true) => Err(PlaneError::Malformed {
                what: format!("the {} MiB and more of {}", MOST_BYTES >> 20, self.place()),
            }),
            (false, _) => Err(PlaneError::Refused { command: request, answer: why }),
        }
    }

    fn place(&self) -> String {
        self.0.command.join(" ")
    }
}
