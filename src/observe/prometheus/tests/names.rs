//! Which names a provider has: one request for all of them.

use std::collections::BTreeSet;

use super::{
    poll, question, run,
    server::{Server, json},
    settings,
};
use crate::{
    metrics::Question,
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
