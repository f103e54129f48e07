//! `backtest`: a manifest over a history that a Prometheus played here has stored. The screen and the plot are in
//! `tests/backtest`; `UPDATE=1 cargo test` writes them anew.

#![expect(clippy::disallowed_methods, reason = "UPDATE=1 asks for new golden files")]

use std::{fmt::Write, fs, process::Command, sync::Mutex, thread};

use axum::{Router, http::StatusCode, response::IntoResponse, routing::post};
use serde_json::{Value, json};

use crate::files::top;

/// 2026-11-21T10:00:00Z, and an hour later.
const FROM: i64 = 1_795_255_200;
const HOUR: i64 = 3600;

/// What was asked, as forms.
static ASKED: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn field(form: &str, name: &str) -> String {
    let value = form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default();
    let mut bytes = value.replace('+', " ").into_bytes().into_iter();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
            out.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).unwrap()
}

/// Shares are bad from half past to twenty to, counts are always there, and from ten to nothing was scraped.
fn figure(query: &str, at: i64) -> Option<f64> {
    let minute = (at - FROM) / 60;
    if minute >= 50 {
        return None;
    }
    let is_share = query.contains(" / ");
    Some(match (is_share, query.contains("e2e_request_latency") || query.contains("le=")) {
        (false, _) => 600.0,
        (true, true) => 0.01,
        (true, false) if (30..40).contains(&minute) => 0.04,
        (true, false) => 0.002,
    })
}

async fn query_range(form: String) -> impl IntoResponse {
    ASKED.lock().unwrap().push(form.clone());
    let number = |name: &str| field(&form, name).parse::<i64>().unwrap();
    let (start, end, step) = (number("start"), number("end"), number("step"));
    let query = field(&form, "query");
    if query.contains("broken_total") {
        return (StatusCode::UNPROCESSABLE_ENTITY, "no".to_owned());
    }
    let looks = (0..).map(|n| start + n * step).take_while(|at| *at <= end);
    let values: Vec<Value> =
        looks.filter_map(|at| Some(json!([at, figure(&query, at)?.to_string()]))).collect();
    let data = json!({"resultType": "matrix", "result": [{"metric": {}, "values": values}]});
    (StatusCode::OK, json!({"status": "success", "data": data}).to_string())
}

fn prometheus() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let router = Router::new().route("/prefix/api/v1/query_range", post(query_range));
            axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), router).await.unwrap();
        });
    });
    format!("http://{address}/prefix/")
}

fn run(server: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let manifest = "tests/backtest/chat.yaml";
    let period = ["--from", "2026-11-21T10:00:00Z", "--to", "2026-11-21T11:00:00Z", "--prometheus", server];
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-llmrollout"));
    let output = command.current_dir(top("")).arg("backtest").arg(manifest).args(period).args(more).output().unwrap();
    let [out, note] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code(), out, note)
}

fn golden(name: &str, drawn: &str) {
    let file = top("tests/backtest").join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, drawn).unwrap();
    }
    assert!(fs::read_to_string(&file).unwrap_or_default() == drawn, "{} changed:\n{drawn}", file.display());
}

#[test]
fn the_past_is_judged_as_the_operator_judges() {
    let server = prometheus();
    let drawing = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("backtest.svg");
    let (code, out, note) = run(&server, &["--svg", drawing.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{note}");
    golden("chat.txt", &out);
    golden("chat.svg", &fs::read_to_string(&drawing).unwrap());
    let json: Value = serde_json::from_str(&run(&server, &["-ojson"]).1).unwrap();
    let errors = &json["gates"][0];
    // Two bad samples of three fail it: the second look after half past.
    assert_eq!(errors["wouldHaveFailedAt"], "2026-11-21T10:30:15Z", "{errors}");
    let words: Vec<&str> =
        errors["spans"].as_array().unwrap().iter().map(|span| span["verdict"].as_str().unwrap()).collect();
    assert_eq!(words, ["Pass", "Fail", "Pass", "NoData"]);
    assert!(json["verdict"].as_str().is_some_and(|v| v.contains("taken back at 2026-11-21T10:30:15Z by errors")), "{json}");
    let asked = ASKED.lock().unwrap();
    let mut said = String::new();
    for form in asked.iter().take(2) {
        writeln!(said, "{} every {}s", field(form, "query"), field(form, "step")).unwrap();
    }
    assert!(said.contains("chat-green") && said.contains("[300s]") && said.contains("every 15s"), "{said}");
}

#[test]
fn what_cannot_be_asked_says_why() {
    let (code, _, note) = run("http://127.0.0.1:1", &[]);
    assert_eq!((code, note.contains("check --prometheus")), (Some(1), true), "{note}");
    let (code, _, note) = run(&prometheus().replace("/prefix", "/other"), &[]);
    assert_eq!((code, note.contains("HTTP 404")), (Some(1), true), "{note}");
}
