//! The way to a state in words, as a scenario would tell it. Never decides what is told.

use std::fmt::Write;

use llmrollout::api::status::Color;

use super::{hands::Stop, moves::Action, state::World, table::GATES, walk::Walked, writer::Pending};

/// The way to a state, line by line.
pub(crate) fn tell(walked: &Walked, to: u32) -> String {
    let mut out = String::new();
    for (action, world) in walked.path(to) {
        writeln!(out, "> {}", words(action)).expect("text");
        writeln!(out, "= {}", stands(&world)).expect("text");
    }
    out
}

/// What happens, in words.
pub(crate) fn words(action: Action) -> String {
    match action {
        Action::Start => "a manifest, a route 100/0, a front Service on blue".into(),
        Action::Pass(signals, stop) => {
            let says: Vec<_> = GATES.iter().zip(signals).map(|((name, ..), s)| format!("{name} {s:?}")).collect();
            format!("pass ({}){}", says.join(", "), end(stop))
        }
        Action::Wake(stop) => format!("the sleeping writer wakes and goes on{}", end(stop)),
        Action::Tick(by) => format!("tick {by}s"),
        Action::Revision(n) => format!("image v{n}"),
        Action::Paused(on) => format!("paused {on}"),
        Action::Abort(on) => format!("abort {on}"),
        Action::Provider(known) => format!("provider {}", if known { "default" } else { "gone" }),
        Action::Pods(color, up) => format!("pods {} {}", color.word(), i32::from(up)),
        Action::Gateway(what) => format!("gateway {what:?}"),
        Action::Route([Some(b), Some(g)]) => format!("somebody else: route {b} {g}"),
        Action::Route(_) => "somebody else: route without weights".into(),
        Action::Front(color) => format!("somebody else: selector {}", color.word()),
        Action::Ours(color, true) => format!("what is called {} is ours again", color.word()),
        Action::Ours(color, false) => format!("what is called {} belongs to somebody else", color.word()),
        Action::Dependency(done) => format!("the rollout before is {}", if done { "done" } else { "taken back" }),
        Action::Says(order) => {
            format!("order to {} attempt: {:?}", if order.current { "this" } else { "another" }, order.say)
        }
    }
}

fn end(stop: Stop) -> String {
    match stop {
        Stop::Done => String::new(),
        Stop::Crash(n) => format!("; the process dies after {n} write(s)"),
        Stop::Sleep(n) => format!("; the writer falls asleep after {n} write(s)"),
        Stop::HalfRead => "; the writer falls asleep in the middle of its live read".into(),
    }
}

/// A state on one line.
pub(crate) fn stands(world: &World) -> String {
    let things = &world.things;
    let weight = |w: Option<u8>| w.map_or_else(|| "-".to_owned(), |w| w.to_string());
    let mut line = String::new();
    if let Some(s) = &world.status {
        write!(line, "{}", s.phase.map_or_else(|| "-".into(), |p| format!("{p:?}"))).expect("text");
        if let Some(a) = s.running() {
            write!(line, " v{} step {} {}%", a.revision, a.step, a.weight).expect("text");
            if a.entered.is_some() {
                write!(line, " hold {}s", a.remaining).expect("text");
            }
            if let Some(why) = a.ended {
                write!(line, " back for {why}").expect("text");
            }
            let marks = [(a.bake > 0, "baking"), (a.skipped, "skipped"), (a.promoted, "promoted"), (a.asked, "asked")];
            let more = [(a.fast, "known"), (!a.cleared, "not cleared"), (a.paused, "clocks stopped")];
            for (_, word) in marks.into_iter().chain(more).filter(|(on, _)| *on) {
                write!(line, " {word}").expect("text");
            }
        }
        if let Some(i) = &s.intent {
            write!(line, " intent {}%", i.weight).expect("text");
        }
        write!(line, " active {}", s.active.map_or("-", Color::word)).expect("text");
        if let Some(r) = &s.retiring {
            write!(line, " retiring {} since {}s", r.color.word(), r.age).expect("text");
        }
        if s.aborted > 0 {
            write!(line, " aborted v{}", s.aborted).expect("text");
        }
    } else {
        line.push_str("(no status)");
    }
    let slots: Vec<_> = Color::BOTH
        .iter()
        .zip(things.slots)
        .map(|(c, s)| {
            let gone = if s.deployment.is_some_and(|d| d.retired) { " retired" } else { "" };
            let ready = if s.ready { " ready" } else { "" };
            let ours = if s.ours { "" } else { " of somebody else" };
            format!("{} v{}{ready}{gone}{ours}", c.word(), s.deployment.map_or(0, |d| d.revision))
        })
        .collect();
    let asleep = match world.pending {
        Some(Pending::Acting(a)) => {
            let rest: Vec<_> = a.writes.iter().flatten().skip(usize::from(a.at)).map(|w| format!("{w:?}")).collect();
            format!(" | asleep before [{}] and status {:?}", rest.join(", "), a.next.phase)
        }
        Some(Pending::HalfRead(_)) => " | asleep, has read routers and endpoints".to_owned(),
        None => String::new(),
    };
    format!(
        "{line} | wanted v{}{}{} | {} | route {}/{} selector {}{asleep}",
        world.wish.revision,
        if world.wish.paused { " paused" } else { "" },
        if world.wish.abort { " abort" } else { "" },
        slots.join(", "),
        weight(things.route[0]),
        weight(things.route[1]),
        things.front.word(),
    )
}
