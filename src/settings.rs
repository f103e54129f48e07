//! What the operator is told: flags over one strict YAML file, with the pod's environment for what is left out.
//! The only reader of the environment. Never talks to a cluster.

mod lists;
mod spans;
mod text;

use std::{
    fs,
    hash::{BuildHasher, RandomState},
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{ArgAction, Parser, ValueEnum};
use serde::{Deserialize, Deserializer, de};

pub use self::spans::Tracing;
use self::{
    lists::{channels, endpoints, providers, routers},
    text::Listen,
};
use crate::{api::v1alpha1::Prices, line::ProviderSettings, metrics::unit, notify::ChannelSettings};

/// Flags. Each wins over the same setting in the file.
#[derive(Debug, Default, Parser)]
#[command(
    name = "llmrollout-operator",
    version,
    about = "Gated, self-reverting rollouts of LLM services on Kubernetes"
)]
struct Flags {
    /// Settings as YAML.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only check the settings: say OK, or what is wrong with line and column.
    #[arg(long)]
    check_config: bool,
    /// Only ask each provider of the settings one question, and say what came of it; 0 when all of them answer.
    #[arg(long, conflicts_with = "check_config")]
    ask_providers: bool,
    /// Watch only this namespace; may be repeated. Without any, all namespaces.
    #[arg(long = "watch-namespace", value_name = "NAMESPACE", value_parser = text::namespace)]
    watch_namespaces: Vec<String>,
    /// Address of /metrics, /healthz and /readyz, for example `:8080`.
    #[arg(long, value_name = "[HOST]:PORT", value_parser = text::address)]
    listen: Option<Listen>,
    /// How long a lease that nobody renews is respected, for example `10s`.
    #[arg(long, value_name = "DURATION", value_parser = text::lease_duration)]
    lease_duration: Option<Duration>,
    /// Whether replicas elect a leader.
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    leader_elect: Option<bool>,
    /// How log lines are written.
    #[arg(long, value_name = "FORMAT")]
    log: Option<Log>,
    /// Name in the lease; must differ between replicas. Default: the pod's name.
    #[arg(long, value_name = "NAME", value_parser = text::identity)]
    identity: Option<String>,
}

/// The file. Everything has a default; unknown fields are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct File {
    #[serde(deserialize_with = "providers")]
    providers: Vec<ProviderSettings>,
    #[serde(deserialize_with = "endpoints")]
    endpoints: Vec<ProviderSettings>,
    #[serde(deserialize_with = "routers")]
    routers: Vec<ProviderSettings>,
    #[serde(deserialize_with = "channels")]
    channels: Vec<ChannelSettings>,
    #[serde(deserialize_with = "prices")]
    prices: Option<Prices>,
    #[serde(deserialize_with = "gpu_price")]
    gpu_price: Option<String>,
    limits: Limits,
    leader_election: LeaderElection,
    allow_cross_namespace: bool,
    #[serde(deserialize_with = "namespaces")]
    watch_namespaces: Vec<String>,
    log: Log,
    tracing: Option<Tracing>,
    #[serde(deserialize_with = "listen")]
    listen: Listen,
}

/// How much the operator does at once, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Limits {
    /// Rollouts that are worked on at the same time.
    #[serde(deserialize_with = "concurrency")]
    pub concurrency: u16,
    /// Deadline of one call of the API server.
    #[serde(deserialize_with = "call_timeout")]
    pub call_timeout: Duration,
    /// For how long, from the first change to a router by somebody else, more than three are left alone.
    #[serde(deserialize_with = "quarrel")]
    pub quarrel: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { concurrency: 16, call_timeout: Duration::from_secs(4), quarrel: crate::decide::snapshot::QUARREL }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct LeaderElection {
    enabled: bool,
    #[serde(deserialize_with = "lease_name")]
    name: String,
    #[serde(deserialize_with = "lease_namespace")]
    namespace: Option<String>,
    #[serde(deserialize_with = "lease_for")]
    lease_duration: Duration,
    standby_acts: bool,
}

impl Default for LeaderElection {
    fn default() -> Self {
        Self {
            enabled: true,
            name: "llmrollout-operator".to_owned(),
            namespace: None,
            lease_duration: Duration::from_secs(10),
            standby_acts: true,
        }
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Log {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Who elects whom, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Election {
    /// Name of the Lease.
    pub name: String,
    /// Its namespace; none means the client's own.
    pub namespace: Option<String>,
    /// Our name in it.
    pub identity: String,
    /// How long a lease that nobody renews is respected.
    pub duration: Duration,
    /// Whether a replica without the lease takes traffic home where the leader has not.
    pub standby_acts: bool,
}

/// Everything the operator is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where metrics are asked for.
    pub providers: Vec<ProviderSettings>,
    /// Where gates ask for numbers beside metrics.
    pub endpoints: Vec<ProviderSettings>,
    /// Webhooks that drive routers.
    pub routers: Vec<ProviderSettings>,
    /// Where people are told.
    pub channels: Vec<ChannelSettings>,
    /// Prices for rollouts that give none.
    pub prices: Option<Prices>,
    /// What a GPU costs by hour, for rollouts that do not say.
    pub gpu_price: Option<String>,
    /// How much is done at once, and for how long.
    pub limits: Limits,
    /// The election; none when this is the only replica.
    pub election: Option<Election>,
    /// Whether rollouts may name routes and Services of other namespaces, where all are watched.
    pub allow_cross_namespace: bool,
    /// The namespaces that are watched; empty means all.
    pub watch_namespaces: Vec<String>,
    /// How log lines are written.
    pub log: Log,
    /// Which log lines are written, as `RUST_LOG` has it.
    pub log_filter: String,
    /// Where spans go; none means nowhere.
    pub tracing: Option<Tracing>,
    /// Address of /metrics, /healthz and /readyz.
    pub listen: SocketAddr,
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Asked {
    /// Run with these settings.
    Run(Box<Settings>),
    /// The settings were only to be checked, and are right: what to say.
    Checked(String),
    /// These providers are only to be asked whether they answer.
    Ask(Vec<ProviderSettings>),
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file could not be read.
    #[error("cannot read the configuration {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is wrong.
    #[error("{path}:{line}:{column}: {message}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// Column, from 1.
        column: u64,
        /// What is wrong.
        message: String,
    },
    /// Nothing to check.
    #[error("--check-config needs a file; add --config FILE")]
    NothingToCheck,
}

/// The command line as it is parsed: for those who hold texts against it.
pub fn command() -> clap::Command {
    <Flags as clap::CommandFactory>::command()
}

/// Reads the command line, the file it names and the environment. Wrong flags end the process with status 2.
pub fn load() -> Result<Asked, SettingsError> {
    settle(Flags::parse(), &Environment::read())
}

/// What the process finds around it.
#[derive(Debug, Default)]
struct Environment {
    pod_name: Option<String>,
    pod_namespace: Option<String>,
    pod_address: Option<IpAddr>,
    host_name: Option<String>,
    log_filter: Option<String>,
}

impl Environment {
    fn read() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
        let read = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            pod_name: read("POD_NAME"),
            pod_namespace: read("POD_NAMESPACE"),
            pod_address: read("POD_IP").and_then(|address| address.parse().ok()),
            host_name: read("HOSTNAME"),
            log_filter: read("RUST_LOG"),
        }
    }

    /// A pod's name is unique. A host's is not: two programs on one host must not take each other's lease for their own.
    fn identity(&self) -> String {
        self.pod_name.clone().unwrap_or_else(|| {
            let host = self.host_name.as_deref().unwrap_or("operator");
            format!("{host}-{:08x}", RandomState::new().hash_one(std::process::id()) >> 32)
        })
    }
}

fn settle(flags: Flags, around: &Environment) -> Result<Asked, SettingsError> {
    let file = flags.config.as_deref().map(read_file).transpose()?;
    if flags.check_config {
        let path = flags.config.ok_or(SettingsError::NothingToCheck)?;
        return Ok(Asked::Checked(format!("{}: OK", path.display())));
    }
    let file = file.unwrap_or_default();
    if flags.ask_providers {
        return Ok(Asked::Ask(file.providers));
    }
    let listen = flags.listen.unwrap_or(file.listen);
    let host = listen.host.or(around.pod_address).unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    let elect = file.leader_election;
    let election = flags.leader_elect.unwrap_or(elect.enabled).then(|| Election {
        name: elect.name,
        namespace: elect.namespace.or_else(|| around.pod_namespace.clone()),
        identity: flags.identity.unwrap_or_else(|| around.identity()),
        duration: flags.lease_duration.unwrap_or(elect.lease_duration),
        standby_acts: elect.standby_acts,
    });
    Ok(Asked::Run(Box::new(Settings {
        providers: file.providers,
        endpoints: file.endpoints,
        routers: file.routers,
        channels: file.channels,
        prices: file.prices,
        gpu_price: file.gpu_price,
        allow_cross_namespace: file.allow_cross_namespace,
        limits: file.limits,
        election,
        watch_namespaces: pick(flags.watch_namespaces, file.watch_namespaces),
        log: flags.log.unwrap_or(file.log),
        log_filter: around.log_filter.clone().unwrap_or_else(|| "info,kube=warn,tower=warn,hyper=warn".to_owned()),
        tracing: file.tracing,
        listen: SocketAddr::new(host, listen.port),
    })))
}

fn pick(flags: Vec<String>, file: Vec<String>) -> Vec<String> {
    if flags.is_empty() { file } else { flags }
}

fn read_file(path: &Path) -> Result<File, SettingsError> {
    let text =
        fs::read_to_string(path).map_err(|source| SettingsError::Unreadable { path: path.to_owned(), source })?;
    parse(&text).map_err(|error| {
        let error = error.without_snippet();
        let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
        let message = plain(&error.to_string());
        SettingsError::Wrong { path: path.to_owned(), line, column, message }
    })
}

fn parse(text: &str) -> Result<File, serde_saphyr::Error> {
    // A file of nothing but comments means every default; the parser would call it no document.
    let empty = text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
    if empty { Ok(File::default()) } else { serde_saphyr::from_str(text) }
}

/// The parser ends its messages with the place, which stands in front already.
fn plain(message: &str) -> String {
    let end = message.rfind(" at line ").unwrap_or(message.len());
    message.get(..end).unwrap_or(message).to_owned()
}

fn prices<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Prices>, D::Error> {
    let prices = Option::<Prices>::deserialize(from)?;
    prices.as_ref().map(unit::Prices::parse).transpose().map_err(de::Error::custom)?;
    Ok(prices)
}

fn gpu_price<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let price = Option::<String>::deserialize(from)?;
    price.as_deref().map(unit::gpu_price).transpose().map_err(de::Error::custom)?;
    Ok(price)
}

fn concurrency<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    match u16::deserialize(from)? {
        n @ 1..=256 => Ok(n),
        n => Err(de::Error::custom(format!("`concurrency: {n}` is out of range; write a number from 1 to 256"))),
    }
}

fn call_timeout<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    read_with(from, text::call_timeout)
}

fn quarrel<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    read_with(from, text::quarrel)
}

fn lease_for<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    read_with(from, text::lease_duration)
}

fn lease_name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    read_with(from, text::lease_name)
}

fn lease_namespace<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let name = Option::<String>::deserialize(from)?.filter(|name| !name.is_empty());
    name.map(|name| text::namespace(&name).map_err(de::Error::custom)).transpose()
}

fn namespaces<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Vec::<String>::deserialize(from)?.iter().map(|name| text::namespace(name).map_err(de::Error::custom)).collect()
}

fn listen<'de, D: Deserializer<'de>>(from: D) -> Result<Listen, D::Error> {
    read_with(from, text::address)
}

fn read_with<'de, D: Deserializer<'de>, T>(from: D, read: fn(&str) -> Result<T, String>) -> Result<T, D::Error> {
    read(&String::deserialize(from)?).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

    use clap::{CommandFactory, Parser};

    use super::{Asked, Environment, Flags, Log, Settings, SettingsError, parse, settle};

    const WHOLE: &str = r#"
providers:
- name: default
  url: http://prometheus:9090
endpoints:
- {name: default, url: "https://eval/score?of={{name}}-{{color}}", timeoutSeconds: 3}
prices: {input: "$0.50", cachedInput: "$0.05", output: "$1.50"}
gpuPrice: $2.50
limits: {concurrency: 8, callTimeout: 2s, quarrel: 30m}
leaderElection: {enabled: true, name: mine, namespace: ops, leaseDuration: 15s, standbyActs: false}
watchNamespaces: [llm, chat]
log: json
tracing: {endpoint: "http://otel:4318/v1/traces", sample: 0.25}
listen: "127.0.0.1:9000"
"#;

    fn written(name: &str, text: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("llmrollout-settings-{}-{name}.yaml", std::process::id()));
        fs::write(&path, text).unwrap();
        path
    }

    fn run(args: &[&str], around: &Environment) -> Settings {
        let flags = Flags::try_parse_from(std::iter::once(&"operator").chain(args)).unwrap();
        match settle(flags, around).unwrap() {
            Asked::Run(settings) => *settings,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn flags_are_well_formed() {
        Flags::command().debug_assert();
    }

    #[test]
    fn everything_has_a_default() {
        let settings = run(&[], &Environment { pod_name: Some("pod-1".into()), ..Environment::default() });
        let election = settings.election.unwrap();
        assert_eq!(election.identity, "pod-1");
        assert_eq!((election.name.as_str(), election.namespace), ("llmrollout-operator", None));
        assert_eq!(election.duration, Duration::from_secs(10));
        assert_eq!(settings.listen, "[::]:8080".parse::<SocketAddr>().unwrap());
        assert_eq!(settings.limits.concurrency, 16);
        assert_eq!(settings.log, Log::Text);
        assert!(settings.watch_namespaces.is_empty() && settings.providers.is_empty() && settings.prices.is_none());
    }

    #[test]
    fn the_file_is_read_whole_and_flags_win() {
        let path = written("whole", WHOLE);
        let config = format!("--config={}", path.display());
        let around = Environment { pod_namespace: Some("other".into()), ..Environment::default() };
        let settings = run(&[&config], &around);
        let election = settings.election.unwrap();
        assert_eq!((election.name.as_str(), election.namespace.as_deref()), ("mine", Some("ops")));
        assert_eq!((election.duration, election.standby_acts), (Duration::from_secs(15), false));
        assert_eq!((settings.providers.len(), settings.endpoints.len()), (1, 1), "names are of their own lists");
        assert!(settings.endpoints[0].tells_colors() && !settings.providers[0].tells_colors());
        assert_eq!(settings.prices.unwrap().output, "$1.50");
        assert_eq!(settings.gpu_price.as_deref(), Some("$2.50"));
        assert_eq!(settings.limits.call_timeout, Duration::from_secs(2));
        assert_eq!(settings.limits.quarrel, Duration::from_mins(30));
        assert_eq!(settings.watch_namespaces, ["llm", "chat"]);
        assert_eq!(settings.tracing.map(|tracing| tracing.sample), Some(0.25));
        assert_eq!((settings.log, settings.listen.port()), (Log::Json, 9000));

        let flags = [&config, "--leader-elect=false", "--watch-namespace", "one", "--log=text", "--listen=:1"];
        let settings = run(&flags, &around);
        assert_eq!(settings.election, None);
        assert_eq!(settings.watch_namespaces, ["one"]);
        assert_eq!((settings.log, settings.listen), (Log::Text, "[::]:1".parse().unwrap()));
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn only_the_providers_are_asked_when_that_is_asked() {
        let path = written("ask", WHOLE);
        let flags = Flags { config: Some(path.clone()), ask_providers: true, ..Flags::default() };
        match settle(flags, &Environment::default()).unwrap() {
            Asked::Ask(providers) => assert_eq!(providers.len(), 1),
            other => panic!("{other:?}"),
        }
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn the_environment_fills_in() {
        let around = Environment {
            pod_namespace: Some("ops".into()),
            pod_address: Some("10.244.0.7".parse().unwrap()),
            host_name: Some("box".into()),
            log_filter: Some("debug".into()),
            ..Environment::default()
        };
        let settings = run(&["--lease-duration", "30s"], &around);
        assert_eq!(settings.listen, "10.244.0.7:8080".parse().unwrap());
        assert_eq!(settings.log_filter, "debug");
        let one = settings.election.unwrap();
        let other = run(&[], &around).election.unwrap();
        assert_eq!((one.namespace.as_deref(), one.duration), (Some("ops"), Duration::from_secs(30)));
        assert!(one.identity.starts_with("box-") && one.identity != other.identity);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, line, column, said) in [
            ("log: text\nnonsense: 1\n", 2, 1, "unknown field `nonsense`"),
            ("limits:\n  concurrency: 0\n", 2, 16, "write a number from 1 to 256"),
            ("limits: {callTimeout: 4}", 1, 23, "write for example `4s`"),
            ("limits: {quarrel: 2s}", 1, 19, "from 10s to 86400s"),
            ("leaderElection: {leaseDuration: 1s}", 1, 33, "from 3s to 60s"),
            ("log: xml", 1, 6, "unknown variant `xml`"),
            ("listen: 8080", 1, 9, "write for example `:8080`"),
            ("watchNamespaces: [Bad_]", 1, 18, "no name"),
            ("prices: {input: '0.5', output: $1}", 1, 9, "no price"),
            ("gpuPrice: 2.50", 1, 11, "no price of a GPU"),
            ("tracing: {endpoint: 'http://otel:4318'}", 1, 21, "with its path and without a password"),
            ("tracing: {endpoint: 'http://u:p@otel/v1/traces'}", 1, 21, "without a password"),
            ("tracing: {endpoint: 'http://otel/v1/traces', sample: 10}", 1, 54, "write a part from 0 to 1"),
            ("log: text\nlog: json\n", 2, 1, "log"),
            ("providers:\n- {name: a, url: 'http://x'}\n- {name: a, url: 'http://y'}\n", 2, 3, "two providers"),
            ("providers:\n- {name: a, url: 'http://x'}\n- {name: b, url: 'ftp://y'}\n", 3, 3, "must begin with http"),
            ("providers:\n- {name: a, url: 'http://x', nonsense: 1}\n", 2, 30, "unknown field `nonsense`"),
            ("endpoints:\n- {name: a, url: 'http://x'}\n- {name: a, url: 'http://y'}\n", 2, 3, "two endpoints"),
            ("endpoints:\n- {name: b, url: 'http://x/{{name}}'}\n", 2, 3, "endpoint b: url: `{{…}}` may only stand"),
            ("endpoints:\n- {name: b, url: 'http://x?a={{window}}'}\n", 2, 3, "nothing else in `{{}}`"),
            ("endpoints:\n- {name: b, url: 'http://169.254.169.254/x'}\n", 2, 3, "nobody is asked at a link-local"),
            ("endpoints:\n- {name: b, url: 'http://u:p@x'}\n", 2, 3, "must not hold a user"),
            ("channels:\n- {name: a, kind: slack}\n", 2, 3, "channel a: url: give `url`"),
            ("channels:\n- {name: a, kind: fax, url: 'http://x'}\n", 2, 19, "unknown variant `fax`"),
            ("limits: {concurrency: 3", 1, 9, "unclosed"),
        ] {
            let path = written("wrong", text);
            let flags = Flags { config: Some(path.clone()), check_config: true, ..Flags::default() };
            let error = settle(flags, &Environment::default()).unwrap_err();
            let shown = error.to_string();
            let SettingsError::Wrong { line: at_line, column: at_column, message, .. } = error else {
                panic!("{shown}")
            };
            assert_eq!((at_line, at_column), (line, column), "{text}: {shown}");
            assert!(message.contains(said) && !message.contains('\n'), "{text}: {shown}");
            fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn a_check_says_ok() {
        let path = written("ok", "# nothing yet\n\n");
        let flags = Flags { config: Some(path.clone()), check_config: true, ..Flags::default() };
        match settle(flags, &Environment::default()).unwrap() {
            Asked::Checked(said) => assert!(said.ends_with(": OK")),
            other => panic!("{other:?}"),
        }
        assert!(parse("").unwrap().providers.is_empty());
        fs::remove_file(path).unwrap();
        let flags = Flags { check_config: true, ..Flags::default() };
        assert!(matches!(settle(flags, &Environment::default()), Err(SettingsError::NothingToCheck)));
        let flags = Flags { config: Some("/nowhere/at/all".into()), ..Flags::default() };
        assert!(matches!(settle(flags, &Environment::default()), Err(SettingsError::Unreadable { .. })));
    }

    #[test]
    fn what_the_manifests_install_is_understood() {
        let installed = include_str!("../config/install.yaml");
        let config = installed.split_once("  config.yaml: |\n").unwrap().1.split("\n---").next().unwrap();
        let file = parse(&config.replace("\n    ", "\n").replacen("    ", "", 1)).unwrap();
        assert_eq!((file.leader_election.name.as_str(), file.listen.port), ("llmrollout-operator", 8080));
    }

    #[test]
    fn wrong_flags_are_refused() {
        for flags in [
            &["--lease-duration=1s"][..],
            &["--listen=x"],
            &["--leader-elect=maybe"],
            &["--watch-namespace=A"],
            &["extra"],
        ] {
            assert!(Flags::try_parse_from(std::iter::once(&"operator").chain(flags)).is_err(), "{flags:?}");
        }
    }
}
