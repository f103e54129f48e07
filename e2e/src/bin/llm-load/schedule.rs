//! When requests start and of what kind each is: decided before anything is sent.
//! Nothing here waits or sends.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::args::Args;

/// Added to a request's number before its choices are drawn: the stub server draws from the bare
/// number, and with an equal seed what is asked and what is answered would go together.
const APART: u64 = 1 << 63;
/// The numbers that random distances are drawn from; no request comes near them.
const DISTANCES: u64 = u64::MAX;

/// One request to come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Due {
    /// After the start.
    pub(crate) at: Duration,
    /// Whether the answer is to be a stream.
    pub(crate) stream: bool,
    /// Whether it gets a connection of its own.
    pub(crate) new_connection: bool,
}

/// Every request to come, in order; ends with the time allowed.
#[derive(Debug)]
pub(crate) struct Schedule {
    rps: f64,
    length: Duration,
    stream_share: f64,
    new_connection_share: f64,
    seed: u64,
    distances: Option<ChaCha8Rng>,
    index: u64,
    /// Seconds after the start; used with random distances only.
    reached: f64,
}

impl Schedule {
    /// The schedule of a run.
    pub(crate) fn new(args: &Args) -> Self {
        Self {
            rps: args.rps,
            length: args.length,
            stream_share: args.stream_share,
            new_connection_share: args.new_connection_share,
            seed: args.seed,
            distances: args.poisson.then(|| numbers(args.seed, DISTANCES)),
            index: 0,
            reached: 0.0,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "5000 a second for two hours are 36 million")]
    fn at(&mut self) -> f64 {
        match &mut self.distances {
            // From the index, not from the last one: nothing adds up.
            None => self.index as f64 / self.rps,
            Some(numbers) => {
                let draw: f64 = numbers.random();
                self.reached -= (1.0 - draw).ln() / self.rps;
                self.reached
            }
        }
    }
}

impl Iterator for Schedule {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        let at = Duration::try_from_secs_f64(self.at()).ok().filter(|at| *at < self.length)?;
        let mut numbers = numbers(self.seed, APART + self.index);
        self.index += 1;
        let (stream, connection): (f64, f64) = (numbers.random(), numbers.random());
        Some(Due { at, stream: stream < self.stream_share, new_connection: connection < self.new_connection_share })
    }
}

fn numbers(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut numbers = ChaCha8Rng::seed_from_u64(seed);
    numbers.set_stream(stream);
    numbers
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::{Due, Schedule};
    use crate::args::Args;

    fn schedule(line: &str) -> Vec<Due> {
        let words = ["llm-load", "--url", "http://h/v1/completions"].into_iter().chain(line.split(' '));
        Schedule::new(&Args::try_parse_from(words).unwrap()).collect()
    }

    #[test]
    fn equal_distances_do_not_drift() {
        let due = schedule("--rps 300 --for 10s");
        assert_eq!(due.len(), 3000);
        assert_eq!(due[0].at, Duration::ZERO);
        assert_eq!(due[1500].at, Duration::from_secs(5));
        assert!(due[2999].at < Duration::from_secs(10));
        assert_eq!(schedule("--rps 0.5 --for 3s").len(), 2);
    }

    #[test]
    fn random_distances_have_the_rate() {
        let due = schedule("--rps 100 --for 100s --poisson");
        assert!((9700..10_300).contains(&due.len()), "{}", due.len());
        assert!(due.is_sorted_by_key(|due| due.at));
        let distances: Vec<f64> = due.windows(2).map(|pair| pair[1].at.abs_diff(pair[0].at).as_secs_f64()).collect();
        let long = distances.iter().filter(|distance| **distance > 0.02).count();
        // Exponential: e^-2 of the distances are more than twice the mean.
        assert!((1200..1500).contains(&long), "{long}");
    }

    #[test]
    fn the_seed_decides() {
        let line = "--rps 50 --for 20s --poisson --stream-share 0.3 --new-connection-share 0.1";
        assert_eq!(schedule(line), schedule(line));
        assert_ne!(schedule(line), schedule(&format!("{line} --seed 2")));
        let streams = schedule("--rps 100 --for 100s --stream-share 0.3").iter().filter(|due| due.stream).count();
        assert!((2850..3150).contains(&streams), "{streams}");
    }
}
