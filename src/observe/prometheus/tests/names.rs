//! What is looked for when a release begins: which names a provider has, and how far its samples are apart; one request each.

use std::{collections::BTreeSet, time::Duration};

use super::{
    poll, question, run,
    server::{Server, json},
    settings,
};
use crate::{
    api::{exporters::Metrics, status::Color},
    metrics::{NoData, Question, Sample, Source, probe},
    observe::{
        board::{Board, Owner},
        clock::Clock,
    },
};

#[tokio::test]
async fn names_are_one_request_and_none_is_an_answer() {
    let at = Clock::start().now().unix();
    let row = |name: &str| format!(r#"{{"metric":{{"__name__":"{name}"}},"value":[{at},"7"]}}"#);
    for (rows, found) in [(vec![row("b"), row("z"), row("a")], vec!["a", "b"]), (vec![], vec![])] {
        let rows = rows.join(",");
        let body = format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{rows}]}}}}"#);
        let server = Server::with(json(&body)).await;
        let board = Board::default();
        let names = ["a", "b", "c"].map(ToOwned::to_owned).to_vec();
        let looked_for = Question { names, ..question("default", "x") };
        board.subscribe(&Owner::new("chat").within("prod"), BTreeSet::from([looked_for.clone()]));
        let task = run(settings("default", &server.url), &board);
        let reading = poll(&board, &looked_for, 1).await.remove(0);
        task.abort();
        assert_eq!(reading.names, found);
        assert!(reading.outcome.is_ok(), "{:?}", reading.outcome);
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn the_distance_of_samples_is_one_request_and_hardly_any_samples_are_no_answer() {
    let look = probe::Look {
        provider: "default",
        namespace: "llm",
        workload: "chat-blue",
        color: Color::Blue,
        began: Clock::start().now(),
        interval: Duration::from_mins(10),
    };
    let source = Source::read(&Metrics::default(), None, None).unwrap();
    let looked_for = probe::spacing_of(&source, &look).unwrap();
    let matrix = |times: &[i64]| {
        let values: Vec<String> = times.iter().map(|at| format!(r#"[{at},"7"]"#)).collect();
        let row = format!(r#"{{"metric":{{"__name__":"a","pod":"p"}},"values":[{}]}}"#, values.join(","));
        format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{row}]}}}}"#)
    };
    let vector = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#.to_owned();
    for (body, told) in [
        (matrix(&[100, 130, 160, 220, 250]), Ok(Sample { value: 30.0, samples: 4.0 })),
        (matrix(&[100, 130]), Err(NoData::Empty)),
        (vector, Err(NoData::WrongShape("a figure instead of a range of samples"))),
    ] {
        let server = Server::with(json(&body)).await;
        let board = Board::default();
        board.subscribe(&Owner::new("chat").within("llm"), BTreeSet::from([looked_for.clone()]));
        let task = run(settings("default", &server.url), &board);
        let reading = poll(&board, &looked_for, 1).await.remove(0);
        task.abort();
        assert_eq!(reading.outcome, told);
        assert_eq!(server.requests().len(), 1);
    }
}
