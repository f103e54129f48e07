//! What a Prometheus has stored: range queries at a gate's own interval, in pieces that it answers. Reads only; its words
//! are never shown, because a provider's text is nobody's.

use std::{path::PathBuf, time::Duration};

use reqwest::{Client, StatusCode, header::AUTHORIZATION};

use super::play::looks;
use crate::{
    api::Moment,
    cli::error::CliError,
    metrics::{NoData, Question, Reading, Sample, answer::matrix},
};

/// Looks in one query: Prometheus refuses more than 11 000.
const PIECE: usize = 5_000;
/// More looks than this are too much to read.
const MOST: usize = 200_000;
/// How long one query may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// Who has the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its address, up to `/api`.
    pub url: String,
    /// A file with a token for it.
    pub token_file: Option<PathBuf>,
}

/// A server that can be asked.
pub struct History {
    client: Client,
    url: String,
    token: Option<String>,
}

impl History {
    /// Reads the token.
    pub fn of(server: &Server) -> Result<Self, CliError> {
        let token = server.token_file.as_ref().map(|file| {
            let unreadable = |source| CliError::Unreadable { file: file.display().to_string(), source };
            std::fs::read_to_string(file).map(|token| token.trim().to_owned()).map_err(unreadable)
        });
        let client = Client::builder().timeout(DEADLINE).build().map_err(|e| CliError::History(e.without_url()))?;
        let url = format!("{}/api/v1/query_range", server.url.trim_end_matches('/'));
        Ok(Self { client, url, token: token.transpose()? })
    }

    /// A question at each look of a period.
    pub async fn readings(&self, question: &Question, from: Moment, to: Moment) -> Result<Vec<Reading>, CliError> {
        let all: Vec<Moment> = looks(from, to, question.interval).collect();
        if all.len() > MOST {
            return Err(CliError::TooLong { looks: all.len(), most: MOST });
        }
        let mut readings = Vec::with_capacity(all.len());
        for piece in all.chunks(PIECE) {
            let samples = self.range(&question.samples.render(question.window), piece, question.interval).await?;
            let values = self.range(&question.value.render(question.window), piece, question.interval).await?;
            let one = |at: Moment| {
                let outcome = outcome(&samples, &values, at);
                Reading { at, window: question.window, outcome, names: Vec::new(), weighed: None }
            };
            readings.extend(piece.iter().copied().map(one));
        }
        Ok(readings)
    }

    async fn range(&self, query: &str, looks: &[Moment], step: Duration) -> Result<Figures, CliError> {
        let end = |at: Option<&Moment>| at.map_or_else(String::new, |at| at.unix().to_string());
        let form = [
            ("query", query.to_owned()),
            ("start", end(looks.first())),
            ("end", end(looks.last())),
            ("step", step.as_secs().max(1).to_string()),
        ];
        let mut request = self.client.post(&self.url).form(&form);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let answer = request.send().await.map_err(|e| CliError::History(e.without_url()))?;
        let status = answer.status();
        if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN || status == StatusCode::NOT_FOUND {
            return Err(CliError::HistoryRefused { status: status.as_u16() });
        }
        let body = answer.bytes().await.map_err(|e| CliError::History(e.without_url()))?;
        Ok(figures(if status.is_success() { matrix::series(&body).map(Some) } else { Err(NoData::Status(status.as_u16())) }))
    }
}

/// One figure for each instant, or why there is none at any.
type Figures = Result<Vec<(i64, f64)>, NoData>;

fn figures(answer: Result<Option<Vec<crate::metrics::raw::Series>>, NoData>) -> Figures {
    let series = answer?.unwrap_or_default();
    match series.as_slice() {
        [] => Ok(Vec::new()),
        [one] => Ok(one.points.iter().map(|point| (second(point.at), point.value)).collect()),
        many => Err(NoData::ManySeries(many.len())),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "seconds since 1970; `as` saturates")]
fn second(at: f64) -> i64 {
    at.round() as i64
}

/// As the operator puts a value and its count together: without requests there is nothing to ask a value of.
fn outcome(samples: &Figures, values: &Figures, at: Moment) -> Result<Sample, NoData> {
    let figure = |figures: &Figures| {
        let figures = figures.as_ref().map_err(Clone::clone)?;
        let found = figures.binary_search_by_key(&at.unix(), |(second, _)| *second).ok();
        found.and_then(|n| figures.get(n)).map(|(_, figure)| *figure).ok_or(NoData::Empty)
    };
    let samples = figure(samples)?;
    if samples == 0.0 {
        return Err(NoData::Empty);
    }
    Ok(Sample { value: figure(values)?, samples })
}
