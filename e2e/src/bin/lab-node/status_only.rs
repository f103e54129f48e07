//! The pods of scale tests: ready without a process. Never starts anything.

use crate::{
    board::{Board, Kind, State},
    status,
    stop::Stopper,
};

/// Marks all containers running and ready until the pod must stop.
pub(crate) async fn run(board: Board, stopper: Stopper) {
    let order = stopper.order(Kind::Main);
    if order.is_given() {
        return;
    }
    let since = status::now();
    board.set_all(|slot| {
        let container_id = format!("lab://{}", slot.name);
        slot.state = State::Running { since: since.clone(), container_id };
        (slot.ready, slot.started) = (true, true);
        if slot.kind == Kind::Init {
            slot.finish(&since);
        }
    });
    order.given().await;
    let until = status::now();
    board.set_all(|slot| slot.finish(&until));
}
