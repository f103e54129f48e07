//! `watch`: the picture of a model, and the program in a real pseudo-terminal before an API server that is played here.
//! The pictures are in `tests/watch`; `UPDATE=1 cargo test` writes them anew.

#![expect(
    clippy::disallowed_methods,
    reason = "UPDATE=1 asks for new golden files; a program is waited for by the clock"
)]

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    path::Path,
    process::{Child, Command},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::State,
    http::header::CONTENT_TYPE,
    response::IntoResponse,
    routing::{get, post},
};
use llmrollout::{
    api::{Moment, status::LlmRolloutStatus},
    cli::watch::{
        model::{Asks, Happened, Model},
        view,
    },
};
use ratatui::{buffer::Buffer, layout::Rect};
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use serde_json::{Value, json};

use crate::{files::top, picture};

/// 2026-11-21T14:00:00Z.
const NOW: Moment = Moment::from_unix(1_795_269_600);
/// Columns and rows.
const SIZE: (u16, u16) = (110, 26);
/// Longer than any picture takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

fn ago(now: Moment, minutes: u64) -> Value {
    let seconds = i64::try_from(now.since(Moment::from_unix(0)).as_secs() - minutes * 60).unwrap();
    serde_json::to_value(Moment::from_unix(seconds)).unwrap()
}

fn holding(now: Moment) -> Value {
    let until = Moment::from_unix(i64::try_from(now.since(Moment::from_unix(0)).as_secs()).unwrap() + 32 * 60 + 30);
    json!({
        "apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRollout",
        "metadata": {"name": "chat", "namespace": "llm", "generation": 3, "uid": "uid-1"},
        "spec": {
            "release": {"template": {"port": 8000, "podTemplate": {"spec": {}}}},
            "traffic": [{"service": {"name": "chat"}}, {"httpRoute": {"name": "chat"}}],
            "gates": [{"name": "errors", "metric": "errorRate", "max": "1%"}],
            "bake": [{"name": "day", "for": "24h"}],
        },
        "status": {
            "observedGeneration": 3, "phase": "Holding", "reason": "WaitingForGate",
            "message": "the hold is served; p95 has no data",
            "step": "2/4", "weight": "20%", "active": "blue", "activeRevision": "0a1b2c3d4e5f", "candidate": "green",
            "attempt": {
                "id": 7, "revision": "3f2a9c771100", "startedAt": ago(now, 120), "step": 2, "weight": 20,
                "stepEnteredAt": ago(now, 60), "holdUntil": until, "clockFrom": ago(now, 120),
            },
            "observedWeights": [
                {"router": "service/chat", "blue": 100, "green": 0},
                {"router": "httpRoute/chat", "blue": 80, "green": 20},
            ],
            "gates": [
                {"name": "p95", "verdict": "NoData", "limit": "1.5s", "reason": "12 of 50 requests", "step": 2},
                {"name": "honest", "verdict": "Undecided", "value": "0.6%", "limit": "1.5%", "samples": 522, "step": 2,
                 "reason": "174 more requests, ~41m"},
                {"name": "errors", "verdict": "Pass", "value": "0.4%", "limit": "1%", "samples": 1204, "step": 2},
                {"name": "cache", "verdict": "Pass", "value": "82%", "limit": "≥60%", "step": 2},
            ],
        },
    })
}

fn with(mut rollout: Value, status: &Value) -> Value {
    for (key, value) in status.as_object().unwrap() {
        rollout["status"][key] = value.clone();
    }
    rollout
}

fn model(rollout: Value) -> Model {
    Model::new(serde_json::from_value(rollout).unwrap(), NOW)
}

fn picture(model: &Model, (width, height): (u16, u16)) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    view::draw(model, area, &mut buffer);
    let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned() + "\n";
    (0..height).map(row).collect()
}

fn golden(name: &str, drawn: &str) {
    golden_at(&top("tests/watch").join(name), drawn);
}

fn golden_at(file: &Path, drawn: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, drawn).unwrap();
    }
    let expected = fs::read_to_string(file).unwrap_or_default();
    assert!(expected == drawn, "{} changed; run with UPDATE=1 and read the diff\n{drawn}", file.display());
}

#[test]
fn a_step_that_waits_is_drawn() {
    let mut chat = model(holding(NOW));
    let event = |minutes: u64, reason: &str, message: &str| Happened {
        at: serde_json::from_value(ago(NOW, minutes)).unwrap(),
        reason: reason.to_owned(),
        message: message.to_owned(),
    };
    chat.events = vec![event(5, "NoData", "p95 has no data"), event(60, "StepEntered", "step 2 at 20%\u{1b}[31m")];
    golden("holding.txt", &picture(&chat, SIZE));
    golden("holding-narrow.txt", &picture(&chat, (60, 16)));
    chat.asks = Asks::by('a', false);
    golden("abort-asked.txt", &picture(&chat, SIZE));
}

#[test]
fn what_is_over_paused_or_unknown_is_drawn() {
    let ended = json!({"endedAt": ago(NOW, 3), "ended": "GateFailed", "id": 7, "revision": "3f2a9c771100",
        "startedAt": ago(NOW, 120), "step": 2, "weight": 0, "clockFrom": ago(NOW, 120)});
    let home = json!([{"router": "httpRoute/chat", "blue": 100, "green": 0}]);
    let failed = json!([{"name": "p95", "verdict": "Fail", "value": "2.7s", "limit": "1.5s", "samples": 1204, "step": 2,
        "reason": "2 of the last 3 samples bad, 2 fail the gate"}]);
    let back = json!({"phase": "RolledBack", "reason": "GateFailed", "message": "p95 2.7s > 1.5s", "attempt": ended,
        "observedWeights": home, "gates": failed, "abortedRevision": "3f2a9c771100"});
    golden("rolled-back.txt", &picture(&model(with(holding(NOW), &back)), SIZE));
    let mut paused = holding(NOW);
    paused["spec"]["paused"] = true.into();
    let paused = with(paused, &json!({"phase": "Paused", "reason": "Paused", "message": "paused is set", "gates": []}));
    let mut paused = model(paused);
    paused.trouble = Some("no answer from https://lab within 10s".to_owned());
    golden("paused-and-silent.txt", &picture(&paused, SIZE));
    let apart = json!([
        {"router": "httpRoute/chat", "blue": 80, "green": 20}, {"router": "grpcRoute/chat", "blue": 95, "green": 5},
    ]);
    golden("apart.txt", &picture(&model(with(holding(NOW), &json!({"observedWeights": apart}))), SIZE));
    let mut new = model(holding(NOW));
    new.rollout.status = Some(LlmRolloutStatus::default());
    golden("new.txt", &picture(&new, SIZE));
}

/// Too little room is no reason to fail.
#[test]
fn any_size_is_drawn() {
    let chat = model(holding(NOW));
    for width in [0, 1, 7, 200] {
        for height in [0, 1, 2, 3, 60] {
            picture(&chat, (width, height));
        }
    }
}

#[derive(Clone, Default)]
struct Played {
    orders: Arc<Mutex<Vec<Value>>>,
}

fn answer(body: &Value) -> impl IntoResponse + use<> {
    ([(CONTENT_TYPE, "application/json")], body.to_string())
}

/// As much of an API server as `watch` asks.
fn api_server(played: Played, now: Moment) -> String {
    let rollout = holding(now);
    let event = json!({"metadata": {"name": "e", "namespace": "llm"}, "involvedObject": {}, "reason": "NoData",
        "message": "p95 has no data", "lastTimestamp": ago(now, 15)});
    let events = json!({"apiVersion": "v1", "kind": "EventList", "metadata": {}, "items": [event]});
    let me = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {},
        "status": {"userInfo": {"username": "ana"}}});
    let group = "/apis/llmrollout.io/v1alpha1/namespaces/llm";
    let router = Router::new()
        .route(&format!("{group}/llmrollouts/chat"), get(move || async move { answer(&rollout) }))
        .route("/api/v1/namespaces/llm/events", get(move || async move { answer(&events) }))
        .route("/apis/authentication.k8s.io/v1/selfsubjectreviews", post(move || async move { answer(&me) }))
        .route(&format!("{group}/llmrolloutorders"), post(ordered))
        .with_state(played);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), router).await.unwrap();
        });
    });
    format!("http://{address}")
}

async fn ordered(State(played): State<Played>, body: String) -> impl IntoResponse {
    let mut order: Value = serde_json::from_str(&body).unwrap();
    order["metadata"]["name"] = "chat-abort-x".into();
    order["metadata"]["uid"] = "uid-2".into();
    played.orders.lock().unwrap().push(order.clone());
    answer(&order)
}

/// The program in a terminal, and what stands on its screen.
struct Terminal {
    child: Child,
    keys: File,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Terminal {
    fn start(server: &str) -> Self {
        let (columns, rows) = SIZE;
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let line = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let config = Path::new(env!("CARGO_TARGET_TMPDIR")).join("watch-kubeconfig.yaml");
        let context = json!([{"name": "lab", "context": {"cluster": "lab", "user": "me", "namespace": "llm"}}]);
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "lab", "contexts": context,
            "clusters": [{"name": "lab", "cluster": {"server": server}}], "users": [{"name": "me", "user": {}}],
        });
        fs::write(&config, kubeconfig.to_string()).unwrap();
        // A session with this terminal as its own, as a shell would give it.
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait", env!("CARGO_BIN_EXE_kubectl-llmrollout"), "watch", "chat", "--kubeconfig"]);
        command.arg(&config).env("TERM", "xterm-256color").env_remove("NO_COLOR");
        command.stdin(line.try_clone().unwrap()).stdout(line.try_clone().unwrap()).stderr(line);
        let child = command.spawn().unwrap();
        let mut output = File::from(master);
        let keys = output.try_clone().unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(rows.try_into().unwrap(), columns.try_into().unwrap(), 0)));
        let shown = Arc::clone(&screen);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The other side is closed when the program has ended.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                shown.lock().unwrap().process(&bytes[..count]);
            }
        });
        Self { child, keys, screen }
    }

    fn shows(&self) -> String {
        let contents = self.screen.lock().unwrap().screen().contents();
        contents.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
    }

    fn press(&mut self, key: &str) {
        self.keys.write_all(key.as_bytes()).unwrap();
    }

    fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let since = Instant::now();
        loop {
            let shown = self.shows();
            if is_so(&shown) {
                return shown;
            }
            assert!(since.elapsed() < PATIENCE, "{what} was not seen:\n{shown}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
    }
}

#[test]
fn in_a_terminal_nothing_is_said_without_a_second_key() {
    let now = Moment::from(k8s_openapi::jiff::Timestamp::now());
    let played = Played::default();
    let mut terminal = Terminal::start(&api_server(played.clone(), now));
    let shown = terminal.until("the event", |shown| shown.contains("15m   NoData"));
    golden("terminal.txt", &shown);
    let drawn = picture::svg(terminal.screen.lock().unwrap().screen(), "kubectl llmrollout watch chat");
    golden_at(&top("docs/pictures/watch.svg"), &drawn);
    terminal.press("a");
    terminal.until("the question", |shown| shown.contains("Take all traffic back now?"));
    terminal.press("n");
    terminal.until("the answer to no", |shown| shown.contains("nothing was said"));
    assert_eq!(played.orders.lock().unwrap().len(), 0);
    terminal.press("a");
    terminal.until("the question", |shown| shown.contains("Take all traffic back now?"));
    terminal.press("y");
    terminal.until("what came of it", |shown| shown.contains("chat: Abort sent (order chat-abort-x)"));
    let orders = played.orders.lock().unwrap().clone();
    assert_eq!(orders.len(), 1);
    let spec = &orders[0]["spec"];
    assert_eq!((&spec["verb"], &spec["attempt"], &spec["approver"]), (&"Abort".into(), &7.into(), &"ana".into()));
    terminal.press("q");
    assert!(terminal.child.wait().unwrap().success());
    terminal.until("the plain terminal", |shown| !shown.contains("q quit"));
}

#[test]
fn without_a_terminal_it_says_what_to_type() {
    let server = api_server(Played::default(), NOW);
    let config = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pipe-kubeconfig.yaml");
    let cluster = json!([{"name": "lab", "cluster": {"server": server}}]);
    let context = json!([{"name": "lab", "context": {"cluster": "lab", "user": "me"}}]);
    let users = json!([{"name": "me", "user": {}}]);
    let whole = json!({"current-context": "lab", "contexts": context, "clusters": cluster, "users": users});
    fs::write(&config, whole.to_string()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-llmrollout"))
        .args(["watch", "chat", "--kubeconfig"])
        .arg(&config)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("kubectl get llmrollout chat -w"), "{said}");
}
