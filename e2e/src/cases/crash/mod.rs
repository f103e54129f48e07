//! Claims about an operator that dies at a write of its own: before it was forwarded, after it was and before the answer came,
//! and with the answer. The release ends as one without a crash. It is played in `scene`; the laws are in `laws`.

mod end;
mod laws;
mod scene;

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, stream};
use serde::Serialize;

use self::scene::{Played, Point, Scene, Stage};
use super::stand::Stand;
use crate::kit::{
    KitError, claim,
    operator::target,
    proxy::{Seen, When},
};

/// On which sides of a write it dies.
const SIDES: [When; 3] = [When::Before, When::After, When::Told];
/// Runs beside each other: they wait most of the time.
const BESIDE: usize = 8;

/// What came of one point.
#[derive(Debug, Serialize)]
struct Row {
    scene: String,
    write: String,
    when: String,
    /// Whether the operator came to this write, and died of it.
    met: bool,
    /// Writes that moved traffic where it was already.
    repeats: usize,
    /// Whether it died before it could say why traffic went back.
    cause_lost: bool,
    /// Whether it ended otherwise than without a crash.
    different_end: bool,
    /// From the death to the end of the release.
    seconds: f64,
    violations: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Document {
    /// Writes at which it may die, and the sides of each.
    points: usize,
    modes: usize,
    writes: BTreeMap<String, usize>,
    runs: usize,
    met: usize,
    different_ends: usize,
    repeats: usize,
    causes_lost: usize,
    violations: usize,
    worst_seconds: f64,
    rows: Vec<Row>,
}

/// Every write that moves traffic, each on one of the three sides in turn, and every fourth of the others.
pub(super) async fn operator_dies_at_a_sample_of_its_writes(stand: &Stand) -> Result<(), KitError> {
    die(stand, |points| {
        let mut others = 0;
        let mut sample = Vec::new();
        for (n, (point, moves)) in points.iter().enumerate() {
            others += usize::from(!moves);
            if *moves || others % 4 == 1 {
                sample.push(Point { when: SIDES[n % SIDES.len()], ..point.clone() });
            }
        }
        sample
    })
    .await
}

/// Every write on every side.
pub(super) async fn operator_dies_at_every_write(stand: &Stand) -> Result<(), KitError> {
    die(stand, |points| {
        points.iter().flat_map(|(point, _)| SIDES.map(|when| Point { when, ..point.clone() })).collect()
    })
    .await
}

async fn die(stand: &Stand, choose: impl Fn(&[(Point, bool)]) -> Vec<Point>) -> Result<(), KitError> {
    let ground = &stand.space.ground;
    let (account, token) = stand.account().await?;
    let stage = Stage { ground: ground.clone(), token, prefix: stand.short() };
    let scenes = [Scene::Promote, Scene::Rollback];
    let (one, two) = tokio::try_join!(stage.play(scenes[0], "ref-0", None), stage.play(scenes[1], "ref-1", None))?;
    let references = [one, two];
    let (mut all, mut count) = (Vec::new(), 0);
    for (scene, reference) in std::iter::zip(scenes, &references) {
        let wrong = wrong_with(scene, reference, reference);
        claim(wrong.is_empty(), || format!("{scene:?} without a crash: {}", wrong.join("\n")))?;
        let points = points(scene, &reference.writes);
        count += points.len();
        all.extend(choose(&points));
    }
    let rows = stream::iter(all.into_iter().enumerate())
        .map(|(n, point)| {
            let (stage, reference) = (&stage, &references[point.scene as usize]);
            async move { one_point(stage, &point, n, reference).await }
        })
        .buffer_unordered(BESIDE)
        .collect::<Vec<_>>()
        .await;
    account.uninstall().await?;
    let writes = std::iter::zip(scenes, &references).map(|(scene, played)| (format!("{scene:?}"), played.writes.len()));
    judged(stand, count, writes.collect(), rows)
}

/// The writes of a run without a crash. Events are told beside the release, by whoever has the time, and nothing rests on them.
fn points(scene: Scene, writes: &[Seen]) -> Vec<(Point, bool)> {
    let mut count: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut all = Vec::new();
    for write in writes.iter().filter(|write| !write.object().starts_with("events")) {
        let nth = count.entry((write.verb, write.object())).or_default();
        *nth += 1;
        let point = Point { scene, verb: write.verb, object: write.object().to_owned(), nth: *nth, when: When::Before };
        all.push((point, laws::moves_traffic(write)));
    }
    all
}

async fn one_point(stage: &Stage, point: &Point, n: usize, reference: &Played) -> Row {
    let mut row = Row {
        scene: format!("{:?}", point.scene),
        write: format!("{} {} #{}", point.verb, point.object, point.nth),
        when: format!("{:?}", point.when),
        met: false,
        repeats: 0,
        cause_lost: false,
        different_end: false,
        seconds: 0.0,
        violations: Vec::new(),
    };
    match stage.play(point.scene, &format!("p-{n}"), Some((point, &reference.end))).await {
        Err(error) => row.violations.push(error.to_string()),
        Ok(played) => {
            row.met = played.deaths > 0;
            row.repeats = repeats(reference, &played);
            row.cause_lost = end::cause_is_lost(&played.end);
            row.different_end = !end::differences(&reference.end, &played.end).is_empty();
            row.seconds = played.seconds;
            row.violations = wrong_with(point.scene, reference, &played);
        }
    }
    row
}

fn repeats(reference: &Played, played: &Played) -> usize {
    let expected = laws::effects(&reference.writes);
    let more = laws::effects(&played.writes)
        .into_iter()
        .map(|(write, times)| times.saturating_sub(expected.get(&write).copied().unwrap_or(0)));
    more.sum()
}

/// Everything that is not as without a crash, or should never be.
fn wrong_with(scene: Scene, reference: &Played, played: &Played) -> Vec<String> {
    let begin = if scene == Scene::Rollback { 100 } else { 0 };
    let mut wrong = laws::broken(&played.writes, begin);
    wrong.extend(end::differences(&reference.end, &played.end));
    let more = repeats(reference, played);
    if more > 1 {
        wrong.push(format!("{more} writes moved traffic where it was already"));
    }
    wrong.extend(played.log.lines().filter(|line| line.contains("panicked")).map(str::to_owned));
    wrong
}

fn judged(stand: &Stand, points: usize, writes: BTreeMap<String, usize>, rows: Vec<Row>) -> Result<(), KitError> {
    let worst_seconds = rows.iter().map(|row| row.seconds).fold(0.0, f64::max);
    let document = Document {
        points,
        modes: SIDES.len(),
        writes,
        runs: rows.len(),
        met: rows.iter().filter(|row| row.met).count(),
        different_ends: rows.iter().filter(|row| row.different_end).count(),
        repeats: rows.iter().map(|row| row.repeats).sum(),
        causes_lost: rows.iter().filter(|row| row.cause_lost).count(),
        violations: rows.iter().map(|row| row.violations.len()).sum(),
        worst_seconds,
        rows,
    };
    let (directory, name) = (target()?.join("crash"), "report.json");
    let (path, what) = (directory.join(name), || directory.join(name).display().to_string());
    std::fs::create_dir_all(&directory).map_err(KitError::failed(what()))?;
    let text = serde_json::to_string_pretty(&document).map_err(KitError::failed(what()))?;
    std::fs::write(&path, text).map_err(KitError::failed(what()))?;
    for (name, count) in [("runs", document.runs), ("met", document.met), ("repeats", document.repeats)] {
        stand.count(name, count);
    }
    stand.note("worst_ms", Duration::from_secs_f64(worst_seconds));
    let wrong: Vec<_> = document.rows.iter().filter(|row| !row.violations.is_empty()).collect();
    claim(wrong.is_empty(), || {
        let said =
            wrong.iter().map(|row| format!("{} {} {}: {}", row.scene, row.write, row.when, row.violations.join("; ")));
        said.collect::<Vec<_>>().join("\n")
    })?;
    // A point that nobody came to shows nothing; a few are, where the order of two tasks differs.
    claim(document.met * 4 >= document.runs * 3, || {
        format!("only {} of {} points were met", document.met, document.runs)
    })
}
