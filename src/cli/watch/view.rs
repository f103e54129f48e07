//! The picture of `watch`: a model in, lines in a buffer out. Pure: no clock, no terminal, no cluster.

use std::time::Duration;

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color as Hue, Modifier, Style},
    text::{Line, Span},
};

use super::model::Model;
use crate::{
    api::{
        LlmRolloutStatus, Moment, Percent,
        status::{Attempt, Color, GateStatus, VerdictWord},
    },
    cli::{
        advice::advice,
        paint::{self, Shade},
        table::{Table, age, clean},
    },
    decide::course::Course,
    metrics::Limit,
};

/// Cells of a bar.
const BAR: usize = 24;
/// Cells of a gate's bar.
const SMALL: usize = 10;

/// Draws the model.
pub fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let (mut lines, foot) = (body(model, usize::from(area.width)), foot(model));
    let room = usize::from(area.height).saturating_sub(foot.len());
    let left = room.saturating_sub(lines.len() + 2);
    lines.extend(events(model, left));
    lines.truncate(room);
    lines.resize(room, Line::default());
    for (y, line) in (area.y..area.bottom()).zip(lines.iter().chain(&foot)) {
        buffer.set_line(area.x, y, line, area.width);
    }
}

fn body(model: &Model, width: usize) -> Vec<Line<'static>> {
    let none = LlmRolloutStatus::default();
    let status = model.rollout.status.as_ref().unwrap_or(&none);
    let mut lines = head(model, status, width);
    let track = track(model, status);
    if !track.is_empty() {
        lines.extend([Line::default(), labelled("Steps", styled(&track))]);
    }
    lines.extend(shares(status));
    if let Some(attempt) = status.attempt.as_ref().filter(|attempt| attempt.ended_at.is_none()) {
        lines.extend(hold(attempt, model.now));
    }
    if !status.gates.is_empty() {
        lines.push(Line::default());
        lines.extend(gates(&status.gates));
    }
    lines
}

fn head(model: &Model, status: &LlmRolloutStatus, width: usize) -> Vec<Line<'static>> {
    let meta = &model.rollout.metadata;
    let word = |text: &Option<String>| text.clone().unwrap_or_default();
    let name = format!("{} in namespace {}", word(&meta.name), word(&meta.namespace));
    let phase = status.phase.map_or("not known yet".to_owned(), |phase| phase.word().to_owned());
    let reason = status.reason.filter(|reason| reason.word() != phase).map(|reason| format!(", {reason}"));
    let title = Span::styled(clean(&name), Style::new().add_modifier(Modifier::BOLD));
    let phase = styled(&format!("   {phase}{}", reason.unwrap_or_default()));
    let mut lines = vec![[title].into_iter().chain(phase).collect()];
    let words = [status.message.clone(), advice(&model.rollout, model.now)];
    lines.extend(words.iter().flat_map(|words| wrapped(&clean(words), width)).map(Line::from));
    lines
}

/// Lines of at most so many characters, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut().filter(|line| line.chars().count() + 1 + word.chars().count() <= width) {
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// `✓ 5%  ▶ 20%  · 50%  · 100%`.
fn track(model: &Model, status: &LlmRolloutStatus) -> String {
    let (Ok(course), Some(attempt)) = (Course::read(&model.rollout.spec), &status.attempt) else {
        return String::new();
    };
    let step = |(number, weight): (i32, Percent)| {
        let mark = match number.cmp(&attempt.step) {
            _ if attempt.ended.is_some() => "·",
            std::cmp::Ordering::Less => "✓",
            std::cmp::Ordering::Equal if attempt.ended_at.is_some() => "✓",
            std::cmp::Ordering::Equal => "▶",
            std::cmp::Ordering::Greater => "·",
        };
        format!("{mark} {weight}%")
    };
    let steps = (1..).zip(course.steps.iter().map(|step| step.weight)).map(step);
    let bakes = (1..).zip(&course.bakes).map(|(number, bake)| {
        format!("{} {}", if number == attempt.bake && attempt.ended_at.is_none() { "▶" } else { "·" }, bake.name)
    });
    steps.chain(bakes).collect::<Vec<_>>().join("  ")
}

/// A bar for each color, as the router that splits most was seen; `▲` marks others that split otherwise. A selector cannot
/// split, so that it says nothing here.
fn shares(status: &LlmRolloutStatus) -> Vec<Line<'static>> {
    let Some(seen) = status.observed_weights.iter().max_by_key(|w| w.blue.min(w.green)) else { return Vec::new() };
    let splits = |router: &str| !router.starts_with("service/");
    let apart = status.observed_weights.iter().any(|other| splits(&other.router) && other.green != seen.green);
    let of = |color: Color, share: Percent| {
        let active = status.active == Some(color);
        let revision = if active {
            status.active_revision.as_deref()
        } else {
            status.attempt.as_ref().map(|attempt| attempt.revision.as_str()).filter(|_| status.candidate == Some(color))
        };
        let what = if active { "serves" } else { "candidate" };
        let revision = revision.map(|revision| format!("{what} {revision}")).unwrap_or_default();
        let hue = if color == Color::Blue { Hue::Blue } else { Hue::Green };
        let bar = Span::styled(bar(share.part(), BAR), Style::new().fg(hue));
        let mut words = format!(" {:>3}%   {revision}", share.to_string());
        if apart {
            words.push_str("   ▲ routers differ");
        }
        labelled(color.word(), [bar, Span::raw(clean(words.trim_end()))])
    };
    vec![of(Color::Blue, seen.blue), of(Color::Green, seen.green)]
}

fn hold(attempt: &Attempt, now: Moment) -> Option<Line<'static>> {
    let (entered, until) = (attempt.step_entered_at?, attempt.hold_until?);
    let (whole, gone) = (until.since(entered), now.since(entered));
    let part = if whole.is_zero() { 1.0 } else { gone.as_secs_f64() / whole.as_secs_f64() };
    let left = match until.since(now) {
        _ if attempt.paused_at.is_some() => "paused".to_owned(),
        Duration::ZERO => "served".to_owned(),
        left => format!("{} left", age(left)),
    };
    let bar = Span::styled(bar(part, BAR), Style::new().fg(Hue::Cyan));
    Some(labelled("Hold", [bar, Span::raw(format!(" {} of {}, {left}", age(gone.min(whole)), age(whole)))]))
}

fn gates(gates: &[GateStatus]) -> Vec<Line<'static>> {
    let mut table = Table::new(["GATE", "VERDICT", "VALUE", "LIMIT", "OF LIMIT", "EVIDENCE", "REASON"]);
    for gate in gates {
        let value = if gate.value.is_empty() { "-".to_owned() } else { gate.value.clone() };
        let small = |part: Option<f64>| part.map_or_else(|| "-".to_owned(), |part| bar(part, SMALL));
        let reason = if gate.reason.is_empty() { gate.compared.clone() } else { gate.reason.clone() };
        table.row([
            gate.name.clone(),
            format!("{:?}", gate.verdict),
            value,
            gate.limit.clone(),
            small(of_limit(gate)),
            small(evidence(gate)),
            reason,
        ]);
    }
    table.text().lines().map(|line| Line::from_iter(styled(line))).collect()
}

/// How much of its limit a value uses up.
fn of_limit(gate: &GateStatus) -> Option<f64> {
    let (value, limit) = (Limit::parse(&gate.value).ok()?, Limit::parse(&gate.limit).ok()?);
    (value.is_like(limit) && limit.value() > 0.0).then(|| value.value() / limit.value())
}

/// How much of the requests that it takes have come, where that is said: `12 of 50 requests`, `174 more requests`.
fn evidence(gate: &GateStatus) -> Option<f64> {
    if gate.verdict == VerdictWord::Pass {
        return Some(1.0);
    }
    let words: Vec<&str> = gate.reason.split_whitespace().collect();
    let number = |word: &str| word.parse::<f64>().ok();
    words.windows(3).find_map(|three| match three {
        [seen, "of", all] => Some(number(seen)? / number(all).filter(|all| *all > 0.0)?),
        [more, "more", _] => {
            let (more, seen) = (number(more)?, number(&gate.samples?.to_string())?);
            Some(seen / (seen + more))
        }
        _ => None,
    })
}

fn events(model: &Model, room: usize) -> Vec<Line<'static>> {
    if model.events.is_empty() || room == 0 {
        return Vec::new();
    }
    let mut table = Table::new(["AGE", "EVENT", "MESSAGE"]);
    for event in model.events.iter().take(room) {
        table.row([age(model.now.since(event.at)), event.reason.clone(), event.message.clone()]);
    }
    let table = table.text();
    std::iter::once(Line::default()).chain(table.lines().map(|line| Line::from_iter(styled(line)))).collect()
}

fn foot(model: &Model) -> Vec<Line<'static>> {
    let pause = if model.rollout.spec.paused { "p go on" } else { "p pause" };
    let keys = format!("{pause}   a abort   m promote   r resume   q quit");
    let reversed = Style::new().add_modifier(Modifier::REVERSED);
    let first = match (&model.asks, &model.trouble, &model.note) {
        (Some(asks), ..) => Span::styled(format!("{} y says it, any other key does not.", asks.question()), reversed),
        (None, Some(trouble), _) => Span::styled(clean(trouble), Style::new().fg(Hue::Red)),
        (None, None, Some(note)) => Span::raw(clean(note)),
        (None, None, None) => Span::raw(""),
    };
    vec![Line::from(first), Line::from(Span::styled(keys, Style::new().add_modifier(Modifier::DIM)))]
}

fn labelled(label: &str, spans: impl IntoIterator<Item = Span<'static>>) -> Line<'static> {
    [Span::raw(format!("{label:<7}"))].into_iter().chain(spans).collect()
}

/// A text whose known words have their colors.
fn styled(text: &str) -> Vec<Span<'static>> {
    let hue = |shade: Option<Shade>| match shade {
        Some(Shade::Bad) => Style::new().fg(Hue::Red),
        Some(Shade::Good) => Style::new().fg(Hue::Green),
        Some(Shade::Open) => Style::new().fg(Hue::Yellow),
        Some(Shade::Busy) => Style::new().fg(Hue::Cyan),
        None => Style::new(),
    };
    paint::pieces(text).into_iter().map(|(shade, piece)| Span::styled(piece.to_owned(), hue(shade))).collect()
}

/// `██████░░░░`: full from one on.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a few cells; the part is between 0 and 1, and `as` saturates"
)]
fn bar(part: f64, cells: usize) -> String {
    let full = ((part.clamp(0.0, 1.0) * cells as f64).round() as usize).min(cells);
    "█".repeat(full) + &"░".repeat(cells - full)
}
