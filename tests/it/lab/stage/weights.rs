//! HAProxy's weights, sampled all the while, against the way they are meant to take.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::Lab;

/// Between two samples.
const SAMPLE: Duration = Duration::from_millis(20);

/// What was seen of the weights along a way.
#[derive(Debug, Default)]
pub struct Watched {
    /// Samples taken.
    pub samples: usize,
    /// Shares of green, in percent, that lay outside the step they were seen in.
    pub outside: Vec<f64>,
    /// Weights of the way that were reached, in their order.
    pub reached: Vec<u32>,
}

impl Watched {
    /// Takes a sample: it has to lie between the weight reached last and the next of the way.
    fn see(&mut self, way: &[u32], (blue, green): (u32, u32)) {
        self.samples += 1;
        let share = 100.0 * f64::from(green) / f64::from(blue + green);
        let next = way.get(self.reached.len()).copied();
        if next.is_some_and(|next| share == f64::from(next)) {
            self.reached.extend(next);
            return;
        }
        let here = self.reached.last().copied().unwrap_or(way[0]);
        let (low, high) = (here.min(next.unwrap_or(here)), here.max(next.unwrap_or(here)));
        // With both weights at 0 nobody is served and the share is no number.
        if !(f64::from(low)..=f64::from(high)).contains(&share) {
            self.outside.push(share);
        }
    }
}

impl Lab {
    /// Watches the weights while `during` runs. They begin at the first weight of `way`, and go from each to the next. HAProxy
    /// being away is no sample.
    pub fn watched<T>(&self, way: &[u32], during: impl FnOnce() -> T) -> (Watched, T) {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut watched = Watched::default();
                while !over.load(Ordering::Relaxed) {
                    if let Ok(weights) = self.try_weights() {
                        watched.see(way, weights);
                    }
                    thread::sleep(SAMPLE);
                }
                watched
            });
            let ended = Ended(&over);
            let result = during();
            drop(ended);
            (watcher.join().unwrap(), result)
        })
    }
}

/// Ends a watch, also when what is watched panics.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(way: &[u32], samples: &[(u32, u32)]) -> (usize, Vec<u32>) {
        let mut watched = Watched::default();
        samples.iter().for_each(|sample| watched.see(way, *sample));
        (watched.outside.len(), watched.reached)
    }

    #[test]
    fn what_lies_on_the_way_is_inside_and_nothing_else_is() {
        let way = [0, 25, 100];
        assert_eq!(outside(&way, &[(100, 0), (100, 25), (75, 25), (0, 100)]), (0, vec![0, 25, 100]));
        assert_eq!(outside(&way, &[(100, 0), (50, 50)]), (1, vec![0]), "beyond the next");
        assert_eq!(outside(&way, &[(100, 0), (75, 25), (100, 0)]), (1, vec![0, 25]), "back");
        assert_eq!(outside(&way, &[(100, 0), (0, 0)]), (1, vec![0]), "nobody is served");
        assert_eq!(outside(&[25, 0], &[(75, 25), (100, 25), (100, 0), (75, 25)]), (1, vec![25, 0]), "on the way back");
    }
}
