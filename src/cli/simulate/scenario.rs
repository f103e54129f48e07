//! The line language of a scenario: what somebody, or the world, does at which time. Read whole before anything happens, so
//! that a mistake is told with its line. Never plays anything.

use std::time::Duration;

use serde_json::Value;

use crate::{
    api::{Moment, Phase, status::Color},
    cli::wish::Say,
    decide::{plan::duration, snapshot::Standing},
};

/// A line with what it means.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    /// As it is written.
    pub(super) text: String,
    /// What it does.
    pub(super) command: Command,
}

/// What a line does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Command {
    /// The story begins at this time.
    Begins(Moment),
    /// Another revision is wanted.
    Release(String),
    /// Fields of the spec change.
    Spec(Value),
    /// Time passes.
    Wait(Until),
    /// A gate's figure: of the color that serves or of the candidate; how it is told; on how many requests.
    Signal { gate: String, active: bool, value: String, samples: Option<f64> },
    /// A gate gets nothing, what fails, or what passes again.
    Mood { gate: String, active: bool, mood: Mood },
    /// Requests a second.
    Traffic(f64),
    /// The pods of a color.
    Pods(Color, Pods),
    /// What the gateways say.
    Gateway(Gateway),
    /// What the webhooks do.
    Webhook(Hooked),
    /// A word of a person, with a reason.
    Say(Say, Option<String>),
    /// Somebody agrees from now on to whatever waits for it.
    Agree,
    /// `abort` of the manifest.
    Abort(bool),
    /// Somebody else writes the share of green, in tenths of a percent.
    Shares(i32),
    /// How the Jobs of a gate, check or hook end from now on.
    Job(String, Ending),
    /// How far another rollout is.
    Depends(String, Standing),
}

/// When the waiting is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// After so long.
    Passed(Duration),
    /// At this time.
    At(Moment),
    /// When a step is measured.
    Step(i32),
    /// In a phase.
    Phase(Phase),
    /// When nothing is under way any more.
    Over,
}

/// How a gate's figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Silent,
    Bad,
    Well,
}

/// How pods are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pods {
    /// So many are ready.
    Ready(i32),
    /// New ones come up, or do not.
    ComeUp(bool),
}

/// What the gateways say of their routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gateway {
    Follows,
    Silent,
    Refuses,
}

/// What webhooks do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hooked {
    Well,
    Hangs,
    Deaf,
}

/// How a Job ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Well, with these last words.
    Says(String),
    Fails(String),
    Hangs,
}

/// Where nothing is written, a release of which every gate is well, or one gate that fails at the second step.
pub(super) fn usual(bad: Option<&str>, steps: usize, asks: bool) -> String {
    let step = steps.clamp(1, 2);
    let fails = bad.map_or_else(String::new, |gate| format!("wait until step {step}\nbad {gate}\n"));
    let agrees = if asks { "approve always\n" } else { "" };
    format!("{agrees}release\n{fails}wait until over\n")
}

/// Reads a scenario, or says what to write instead of its first wrong line.
pub(super) fn read(text: &str) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let command = command(line).map_err(|instead| format!("line {}: `{line}`: {instead}", n + 1))?;
        if matches!(command, Command::Begins(_)) && !lines.is_empty() {
            return Err(format!("line {}: `{line}`: the time is told first; put it above the other lines", n + 1));
        }
        lines.push(Line { text: line.to_owned(), command });
    }
    if lines.is_empty() { Err("it holds no line; write for example `release v2`".to_owned()) } else { Ok(lines) }
}

fn command(line: &str) -> Result<Command, String> {
    let (word, rest) = line.split_once(' ').map_or((line, ""), |(word, rest)| (word, rest.trim()));
    let words: Vec<&str> = rest.split_whitespace().collect();
    match (word, words.as_slice()) {
        ("begins", [at]) => moment(at).map(Command::Begins),
        ("release", []) => Ok(Command::Release("simulated".to_owned())),
        ("release", [tag]) => Ok(Command::Release((*tag).to_owned())),
        ("spec", [_, ..]) => {
            let change: Option<Value> = serde_saphyr::from_str(rest).ok().filter(Value::is_object);
            change
                .map(Command::Spec)
                .ok_or_else(|| "write for example `spec {steps: [{weight: 100, hold: 1h}]}`".into())
        }
        ("wait", _) => wait(&words).map(Command::Wait),
        ("traffic", [rps]) => {
            let rps = rps.trim_end_matches("/s").parse().ok().filter(|rps: &f64| rps.is_finite() && *rps >= 0.0);
            rps.map(Command::Traffic).ok_or_else(|| "write requests a second, for example `traffic 2.5/s`".into())
        }
        ("signal", _) => signal(&words),
        ("silent" | "bad" | "well", _) => mood(word, &words),
        ("pods" | "gateway" | "webhook" | "shares" | "job" | "depends", _) => world(word, &words, rest),
        _ => person(word, &words, rest),
    }
}

fn wait(words: &[&str]) -> Result<Until, String> {
    let known = match words {
        ["until", "over"] => Some(Until::Over),
        ["until", "step", n] => n.parse().ok().filter(|n| *n > 0).map(Until::Step),
        ["until", word] => phase(word).map(Until::Phase).or_else(|| moment(word).ok().map(Until::At)),
        [by] => duration(by).map(Until::Passed),
        _ => None,
    };
    known.ok_or_else(|| {
        "write `wait 5m`, `wait until step 2`, `wait until Paused` (a phase), `wait until 2027-01-15T20:00:00Z`, or `wait until over`"
            .to_owned()
    })
}

fn phase(word: &str) -> Option<Phase> {
    serde_json::from_value(Value::from(word)).ok()
}

fn moment(text: &str) -> Result<Moment, String> {
    let at = text.parse::<k8s_openapi::jiff::Timestamp>().map(Moment::from);
    at.map_err(|_| "write a time as 2027-01-15T08:00:00Z".to_owned())
}

fn signal(words: &[&str]) -> Result<Command, String> {
    let instead = "write for example `signal errors 3%`, `signal errors 3% 500` (on so many requests), or `signal errors active 3%` (of the color that serves)";
    let (gate, active, rest) = match words {
        [gate, "active", rest @ ..] => (gate, true, rest),
        [gate, rest @ ..] => (gate, false, rest),
        [] => return Err(instead.to_owned()),
    };
    let samples = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    let (value, samples) = match rest {
        [value] => (value, None),
        [value, n] => (value, Some(samples(n).ok_or(instead)?)),
        _ => return Err(instead.to_owned()),
    };
    Ok(Command::Signal { gate: (*gate).to_owned(), active, value: (*value).to_owned(), samples })
}

fn mood(word: &str, words: &[&str]) -> Result<Command, String> {
    let mood = match word {
        "silent" => Mood::Silent,
        "bad" => Mood::Bad,
        _ => Mood::Well,
    };
    match words {
        [gate] => Ok(Command::Mood { gate: (*gate).to_owned(), active: false, mood }),
        [gate, "active"] => Ok(Command::Mood { gate: (*gate).to_owned(), active: true, mood }),
        _ => Err(format!("write the name of a gate, for example `{word} errors`, or `{word} errors active`")),
    }
}

fn world(word: &str, words: &[&str], rest: &str) -> Result<Command, String> {
    let known = match (word, words) {
        ("pods", [color, how]) => pods(how).and_then(|pods| Some(Command::Pods(color_of(color)?, pods))),
        ("gateway", ["follows"]) => Some(Command::Gateway(Gateway::Follows)),
        ("gateway", ["silent"]) => Some(Command::Gateway(Gateway::Silent)),
        ("gateway", ["refuses"]) => Some(Command::Gateway(Gateway::Refuses)),
        ("webhook", ["well"]) => Some(Command::Webhook(Hooked::Well)),
        ("webhook", ["hangs"]) => Some(Command::Webhook(Hooked::Hangs)),
        ("webhook", ["deaf"]) => Some(Command::Webhook(Hooked::Deaf)),
        ("shares", [shares]) => green(shares).map(Command::Shares),
        ("job", [name, how, ..]) => {
            let said = rest.splitn(3, ' ').nth(2).unwrap_or_default().trim().to_owned();
            ending(how, said).map(|ending| Command::Job((*name).to_owned(), ending))
        }
        ("depends", [name, far]) => standing(far).map(|far| Command::Depends((*name).to_owned(), far)),
        _ => None,
    };
    known.ok_or_else(|| {
        let instead = match word {
            "pods" => "write `pods green 0`, `pods green fail` or `pods green come-up`",
            "gateway" => "write `gateway silent`, `gateway refuses` or `gateway follows`",
            "webhook" => "write `webhook hangs`, `webhook deaf` or `webhook well`",
            "shares" => "write what somebody else gives blue and green, for example `shares 80/20`",
            "job" => "write the gate, check or hook and how its Jobs end: `job accuracy says {\"accuracy\": 0.8}`, `job accuracy fails`, or `job accuracy hangs`",
            _ => "write how far it is: `depends db missing`, `under-way`, `taken-back`, `completed` or `baked`",
        };
        instead.to_owned()
    })
}

fn color_of(word: &str) -> Option<Color> {
    Color::BOTH.into_iter().find(|color| color.word() == word)
}

fn pods(word: &str) -> Option<Pods> {
    match word {
        "fail" => Some(Pods::ComeUp(false)),
        "come-up" => Some(Pods::ComeUp(true)),
        n => n.parse().ok().filter(|n| *n >= 0).map(Pods::Ready),
    }
}

/// Tenths of a percent for green.
fn green(shares: &str) -> Option<i32> {
    let (blue, green) = shares.split_once('/')?;
    let (blue, green): (i32, i32) = (blue.parse().ok()?, green.parse().ok()?);
    (blue >= 0 && green >= 0 && blue + green == 100).then_some(green * 10)
}

fn ending(word: &str, said: String) -> Option<Ending> {
    match word {
        "says" if !said.is_empty() => Some(Ending::Says(said)),
        "fails" => Some(Ending::Fails(said)),
        "hangs" if said.is_empty() => Some(Ending::Hangs),
        _ => None,
    }
}

fn standing(word: &str) -> Option<Standing> {
    match word {
        "missing" => Some(Standing::Missing),
        "under-way" => Some(Standing::UnderWay),
        "taken-back" => Some(Standing::TakenBack),
        "completed" => Some(Standing::Completed),
        "baked" => Some(Standing::Baked),
        _ => None,
    }
}

/// What a person says.
fn person(word: &str, words: &[&str], rest: &str) -> Result<Command, String> {
    let reason = (!rest.is_empty()).then(|| rest.to_owned());
    let say = match (word, words) {
        ("pause", []) => Say::Pause,
        ("resume", []) => Say::Resume,
        ("abort", [] | ["on"]) => return Ok(Command::Abort(true)),
        ("abort", ["off"]) => return Ok(Command::Abort(false)),
        ("approve", ["always"]) => return Ok(Command::Agree),
        ("approve", given) => {
            let named = |key: &str| given.iter().find_map(|word| word.strip_prefix(key)).map(ToOwned::to_owned);
            let (role, before) = (named("role="), named("before="));
            if given.len() != usize::from(role.is_some()) + usize::from(before.is_some()) {
                return Err(
                    "write `approve`, `approve always`, or for example `approve role=sre before=Full`".to_owned()
                );
            }
            return Ok(Command::Say(Say::Approve { role, before }, None));
        }
        ("reject", [_, ..]) => Say::Reject,
        ("reject", []) => return Err("write what speaks against it, for example `reject the answers are worse`".into()),
        ("promote", _) => Say::Promote,
        ("skip", _) => Say::Skip,
        ("retry", _) => Say::Retry,
        _ => return Err(format!("nobody knows this line; write one of: {ALL}")),
    };
    Ok(Command::Say(say, reason))
}

/// Every word that a line begins with.
const ALL: &str = "abort, approve, bad, begins, depends, gateway, job, pause, pods, promote, reject, release, resume, retry, shares, signal, silent, skip, spec, traffic, wait, webhook, well";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Command, Until, read, usual};

    #[test]
    fn lines_are_read_and_comments_are_not() {
        let all = read("# of a release\n\nrelease v2\n wait 5m \nabort off\n").unwrap();
        assert_eq!(all.len(), 3);
        assert_eq!(all[0].command, Command::Release("v2".into()));
        assert_eq!(all[1].command, Command::Wait(Until::Passed(Duration::from_mins(5))));
        assert_eq!(all[2].command, Command::Abort(false));
    }

    #[test]
    fn a_wrong_line_is_told_with_its_number_and_what_to_write() {
        for (line, said) in [
            ("", "it holds no line"),
            ("relaese v2", "write one of: abort, approve"),
            ("wait", "write `wait 5m`"),
            ("wait 5", "write `wait 5m`"),
            ("wait until step 0", "`wait until step 2`"),
            ("wait until Nowhere", "a phase"),
            ("signal", "`signal errors 3%`"),
            ("signal errors", "`signal errors 3%`"),
            ("signal errors 1% many", "on so many requests"),
            ("silent", "the name of a gate"),
            ("bad errors now", "`bad errors active`"),
            ("pods red 0", "`pods green 0`"),
            ("pods green -1", "`pods green 0`"),
            ("gateway sings", "`gateway silent`"),
            ("webhook lies", "`webhook hangs`"),
            ("shares 80/30", "`shares 80/20`"),
            ("job accuracy", "how its Jobs end"),
            ("job accuracy says", "how its Jobs end"),
            ("depends db far", "`depends db missing`"),
            ("traffic fast", "`traffic 2.5/s`"),
            ("spec steps", "`spec {steps:"),
            ("begins noon", "2027-01-15T08:00:00Z"),
            ("approve sre", "`approve role=sre before=Full`"),
            ("reject", "what speaks against it"),
            ("abort maybe", "write one of"),
            ("pause now", "write one of"),
        ] {
            let answer = read(&format!("# first\n{line}\n"));
            assert!(answer.as_ref().is_err_and(|e| e.contains(said)), "{line}: {answer:?}");
            assert!(line.is_empty() || answer.is_err_and(|e| e.starts_with("line 2: ")), "{line}");
        }
        assert!(read("release\nbegins 2027-01-15T08:00:00Z").unwrap_err().contains("told first"));
    }

    #[test]
    fn what_is_played_without_a_scenario_is_one() {
        for bad in [None, Some("errors")] {
            assert!(read(&usual(bad, 4, true)).is_ok());
        }
        assert!(usual(Some("errors"), 1, false).contains("step 1"), "there is no second step to fail at");
    }
}
