//! The Prometheus of the simulation: figures of what runs in a color, as far as it gets requests; or none, or odd ones.
//! Never knows what is decided on them.

use llmrollout::{
    api::{Moment, status::Color},
    metrics::{NoData, Question, Sample},
};

use super::cluster::{Prom, Sim};

/// Requests in a second at 100 %.
const RATE: f64 = 40.0;

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    Errors,
    Latency,
    Cost,
    Requests,
}

impl About {
    pub(crate) fn of(question: &Question) -> Self {
        let text = question.value.to_string();
        match () {
            () if question.samples.to_string().starts_with("count(") => Self::Requests,
            () if text.contains("_latency_seconds") => Self::Latency,
            () if text.contains("generation_tokens") => Self::Cost,
            () => Self::Errors,
        }
    }

    /// What a good and what a bad revision shows.
    const fn figures(self) -> (f64, f64) {
        match self {
            Self::Errors => (0.001, 0.2),
            // The share above the bound that is the limit.
            Self::Latency => (0.004, 0.5),
            Self::Cost | Self::Requests => (0.002, 0.05),
        }
    }
}

/// The share of the color that is asked about, and what runs there.
fn asked_about(sim: &Sim, question: &Question) -> (i64, String) {
    let text = question.value.to_string();
    let color = if text.contains("-green-") { Color::Green } else { Color::Blue };
    let name = if text.contains("\"base-") { "base" } else { "chat" };
    (sim.share_of(name, color), sim.image_of(name, color))
}

/// The answer to a question, by the clock of who asks.
#[expect(clippy::cast_precision_loss, reason = "shares and seconds are small")]
pub(crate) fn answer(sim: &Sim, now: u64, clock: Moment, question: &Question) -> Result<Sample, NoData> {
    let (share, image) = asked_about(sim, question);
    let about = About::of(question);
    let weather = sim.weather.prom.filter(|(until, _)| *until > now).map(|(_, what)| what);
    if about == About::Requests {
        let seconds = clock.since(question.since).min(question.window).as_secs() as f64;
        let counted = Ok(Sample { value: RATE * share as f64 / 100.0 * seconds, samples: 2.0 });
        return match weather {
            Some(Prom::Down) => Err(NoData::Unreachable("connection refused")),
            Some(Prom::ManySeries) => Err(NoData::ManySeries(2)),
            Some(Prom::NotANumber) => Ok(Sample { value: f64::NAN, samples: 2.0 }),
            Some(Prom::Bad | Prom::FewRequests) | None => counted,
        };
    }
    let (good, bad) = about.figures();
    let ill = image.contains("bad") && about != About::Cost;
    let outcome = Ok(Sample { value: if ill { bad } else { good }, samples: 1000.0 });
    match weather {
        _ if share == 0 => Err(NoData::Empty),
        None => outcome,
        Some(Prom::Down) => Err(NoData::Unreachable("connection refused")),
        Some(Prom::NotANumber) => Ok(Sample { value: f64::NAN, samples: 1000.0 }),
        Some(Prom::ManySeries) => Err(NoData::ManySeries(2)),
        Some(Prom::FewRequests) => outcome.map(|s| Sample { samples: 5.0, ..s }),
        Some(Prom::Bad) => Ok(Sample { value: bad, samples: 1000.0 }),
    }
}
