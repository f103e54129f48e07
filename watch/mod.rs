//! `watch NAME`: one rollout, live in the terminal, with keys for what a person may say to it. The picture is `view`'s, a
//! pure function of the model; here it is asked, drawn and answered. Nothing is said without a second key.

pub mod model;
pub mod view;

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use self::model::{Asks, Happened, Model};
use super::{
    cluster::Cluster,
    error::CliError,
    order, status,
    wish::Order,
};
use crate::api::{LlmRollout, Moment};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// How soon a key is heard after the program was told to end.
const LISTEN: Duration = Duration::from_millis(100);

/// Draws until a key ends it.
pub async fn watch(cluster: &Cluster, name: &str, now: fn() -> Moment) -> Result<(), CliError> {
    if !io::stdout().is_terminal() {
        return Err(CliError::NoTerminal { name: name.to_owned() });
    }
    // What is not there is said on the plain terminal.
    let model = Model::new(look(cluster, name).await?, now());
    let mut terminal = ratatui::try_init().map_err(CliError::Write)?;
    let ended = Watch { cluster, name, now, model }.run(&mut terminal).await;
    ratatui::restore();
    ended
}

async fn look(cluster: &Cluster, name: &str) -> Result<LlmRollout, CliError> {
    status::typed(cluster.one(name).await?, name)
}

struct Watch<'a> {
    cluster: &'a Cluster,
    name: &'a str,
    now: fn() -> Moment,
    model: Model,
}

impl Watch<'_> {
    async fn run(mut self, terminal: &mut DefaultTerminal) -> Result<(), CliError> {
        let (mut keys, mut looks) = (keys(), looks(self.cluster.clone(), self.name.to_owned()));
        let mut tick = tokio::time::interval(EVERY);
        loop {
            let draw = |frame: &mut ratatui::Frame<'_>| view::draw(&self.model, frame.area(), frame.buffer_mut());
            terminal.draw(draw).map_err(CliError::Write)?;
            tokio::select! {
                _ = tick.tick() => {}
                Some(seen) = looks.recv() => self.see(seen),
                heard = keys.recv() => match heard {
                    Some(Event::Key(key)) if key.kind == KeyEventKind::Press => {
                        if ends(key) {
                            return Ok(());
                        }
                        self.press(key.code).await;
                    }
                    // A resize is drawn anew.
                    Some(_) => {}
                    None => return Ok(()),
                },
            }
            self.model.now = (self.now)();
        }
    }

    /// What cannot be read is said in a line, and the last picture stays.
    fn see(&mut self, seen: Seen) {
        match seen.rollout {
            Ok(rollout) => {
                self.model.rollout = *rollout;
                self.model.trouble = None;
            }
            Err(words) => self.model.trouble = Some(words),
        }
        if let Some(events) = seen.events {
            self.model.events = events;
        }
    }

    async fn press(&mut self, key: KeyCode) {
        match (self.model.asks.take(), key) {
            (Some(asks), KeyCode::Char('y')) => self.say(asks).await,
            (Some(_), _) => self.model.note = Some("nothing was said".to_owned()),
            (None, KeyCode::Char(key)) => {
                self.model.note = None;
                self.model.asks = Asks::by(key, self.model.rollout.spec.paused);
            }
            (None, _) => {}
        }
    }

    /// The operator's answer is seen in the picture.
    async fn say(&mut self, asks: Asks) {
        let reason = (!asks.is_of_the_manifest(self.model.rollout.spec.paused)).then(|| "typed in watch".to_owned());
        let order = Order { name: self.name.to_owned(), say: asks.say(), reason, patience: None, shape: None };
        let said = order::order(self.cluster, &order, (self.now)()).await;
        self.model.note = Some(match said {
            Ok(said) => said.out.trim_end().to_owned(),
            Err(e) => format!("error: {e}"),
        });
    }
}

/// What one look saw.
struct Seen {
    rollout: Result<Box<LlmRollout>, String>,
    events: Option<Vec<Happened>>,
}

/// Looks are a task of their own, so that no key waits for a server that does not answer.
fn looks(cluster: Cluster, name: String) -> UnboundedReceiver<Seen> {
    let (told, looks) = unbounded_channel();
    tokio::spawn(async move {
        loop {
            let rollout = look(&cluster, &name).await.map(Box::new).map_err(|e| e.to_string());
            // Who may not list events sees the rollout all the same.
            let events = cluster.events(&name).await.ok().map(|events| Happened::all(&events));
            if told.send(Seen { rollout, events }).is_err() {
                return;
            }
            tokio::time::sleep(EVERY).await;
        }
    });
    looks
}

fn ends(key: KeyEvent) -> bool {
    let interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    interrupt || key.code == KeyCode::Char('q')
}

/// Keys come from a thread of their own, because a terminal can only be waited for.
fn keys() -> UnboundedReceiver<Event> {
    let (heard, keys) = unbounded_channel();
    std::thread::spawn(move || {
        while !heard.is_closed() {
            match event::poll(LISTEN).and_then(|ready| if ready { event::read().map(Some) } else { Ok(None) }) {
                Ok(None) => {}
                Ok(Some(event)) => drop(heard.send(event)),
                Err(_) => return,
            }
        }
    });
    keys
}
