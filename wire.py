import os,shutil,re
R='/work/wt/cli/'
def sub(p,pairs):
    s=open(R+p).read()
    for a,b in pairs:
        assert a in s,(p,a)
        s=s.replace(a,b,1)
    open(R+p,'w').write(s)
for d in ['watch','convert','backtest']:
    shutil.copytree('/tmp/next/'+d,R+'src/cli/'+d,dirs_exist_ok=True)
shutil.copy('/tmp/next/paint.rs',R+'src/cli/paint.rs')
shutil.copy('/tmp/next/watch_test.rs',R+'tests/it/watch.rs')
sub('src/cli/args.rs',[
('''    /// Tell what was tried before, and who said what to it
''','''    /// Watch one rollout live in the terminal, with keys to pause, promote and take back
    Watch(WatchArgs),
    /// Tell what was tried before, and who said what to it
'''),
('''    /// Agree in a role to what waits for it
''','''    /// Say when a manifest's gates would have passed, failed, or not known, over what a Prometheus has stored
    Backtest(BacktestArgs),
    /// Turn analyses of Argo Rollouts and Flagger into a set of gates, and say what could not be carried over
    Convert(ConvertArgs),
    /// Agree in a role to what waits for it
'''),
('''/// `history NAME`.
''','''/// `watch NAME`.
#[derive(Clone, Debug, ClapArgs)]
pub struct WatchArgs {
    /// Name of the rollout
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// `backtest FILE --from --to`.
#[derive(Clone, Debug, ClapArgs)]
pub struct BacktestArgs {
    /// The manifest, with the gate sets that it takes over; - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// From when: 2026-11-21T14:00:00Z, or so long ago, as 6h
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub from: Instant,
    /// Until when
    #[arg(long, value_name = "TIME", default_value = "now", value_parser = instant)]
    pub to: Instant,
    /// The address of Prometheus, up to /api
    #[arg(long, value_name = "URL", value_parser = address)]
    pub prometheus: String,
    /// A file with a bearer token for it
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Whose pods are taken for the candidate's
    #[arg(long, value_name = "COLOR", default_value = "green")]
    pub color: ColorWord,
    /// Write a plot to this file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Another shape of output
    #[arg(short, long, value_name = "SHAPE")]
    pub output: Option<DocumentOutput>,
}

/// `convert FILE…`.
#[derive(Clone, Debug, ClapArgs)]
pub struct ConvertArgs {
    /// `AnalysisTemplate`s, or a `Canary` with its `MetricTemplate`s; - for standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The name of the set; that of the first object without it
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// With what was lost, as a document
    #[arg(short, long, value_name = "SHAPE")]
    pub output: Option<DocumentOutput>,
}

/// An instant, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instant {
    /// Now.
    Now,
    /// So long ago.
    Ago(Duration),
    /// This one.
    At(Moment),
}

/// A color, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorWord {
    /// Blue.
    Blue,
    /// Green.
    Green,
}

/// `history NAME`.
'''),
('use crate::metrics::Limit;','use crate::{api::Moment, metrics::Limit};'),
('''/// As kubectl reads it: a bare number is seconds.''','''fn instant(text: &str) -> Result<Instant, String> {
    let at = || text.parse::<Timestamp>().ok().map(|at| Instant::At(Moment::from(at)));
    let ago = || duration(text.trim_start_matches('-')).ok().map(Instant::Ago);
    let known = if text == "now" { Some(Instant::Now) } else { at().or_else(ago) };
    known.ok_or_else(|| "write 2026-11-21T14:00:00Z, 6h for six hours ago, or now".to_owned())
}

fn address(text: &str) -> Result<String, String> {
    let plain = text.starts_with("http://") || text.starts_with("https://");
    if plain { Ok(text.to_owned()) } else { Err("write its address, for example http://localhost:9090".to_owned()) }
}

/// As kubectl reads it: a bare number is seconds.'''),
('use k8s_openapi::jiff::SignedDuration;','use k8s_openapi::jiff::{SignedDuration, Timestamp};'),
])
sub('src/cli/wish.rs',[
('''        Shell, Verb,
    },
''','''        BacktestArgs, ColorWord, Instant, Shell, Verb,
    },
    backtest::{Backtest, history::Server},
    convert::Converted,
'''),
('''    /// Tell what was tried before.
    History {''','''    /// Draw one, live.
    Watch {
        /// Its name.
        name: String,
    },
    /// Tell what was tried before.
    History {'''),
('''    /// Say something to a rollout.
    Order(Order),
''','''    /// Hold gates against what a Prometheus has stored.
    Backtest(Backtest),
    /// Turn somebody else's analyses into gates.
    Convert(Converted),
    /// Say something to a rollout.
    Order(Order),
'''),
('''    /// What the words mean.
    pub fn read(args: Args) -> (Place, Self) {
        let place = place(args.place);
''','''    /// What the words mean at this time.
    pub fn read(args: Args, now: Moment) -> (Place, Self) {
        let place = place(args.place);
'''),
('''            Verb::Lint(lint) =>''','''            Verb::Watch(watch) => Self::Watch { name: watch.name },
            Verb::Backtest(backtest) => self::backtest(backtest, place.namespace.clone(), now),
            Verb::Convert(c) => {
                Self::Convert(Converted { files: c.files, name: c.name, shape: c.output.map(form) })
            }
            Verb::Lint(lint) =>'''),
('''            Self::Completion(_) | Self::Man(_) => true,
''','''            Self::Backtest(backtest) => backtest.shape.is_some(),
            Self::Watch { .. } | Self::Convert(_) | Self::Completion(_) | Self::Man(_) => true,
'''),
('''fn lint(args: LintArgs) -> Wish {''','''fn backtest(args: BacktestArgs, namespace: Option<String>, now: Moment) -> Wish {
    let at = |instant: Instant| match instant {
        Instant::Now => now,
        Instant::Ago(span) => now.minus(span),
        Instant::At(at) => at,
    };
    let color = match args.color {
        ColorWord::Blue => Color::Blue,
        ColorWord::Green => Color::Green,
    };
    let server = Server { url: args.prometheus, token_file: args.token_file };
    let (from, to) = (at(args.from), at(args.to));
    let shape = args.output.map(form);
    Wish::Backtest(Backtest { file: args.file, from, to, server, color, namespace, svg: args.svg, shape })
}

fn lint(args: LintArgs) -> Wish {'''),
('''/// Which cluster and namespace.
#[derive''','''use crate::api::{Moment, status::Color};

/// Which cluster and namespace.
#[derive'''),
('''        Wish::read(Args::try_parse_from(line.split(' ')).unwrap())
''','''        Wish::read(Args::try_parse_from(line.split(' ')).unwrap(), Moment::from_unix(1_795_269_600))
'''),
('''    use crate::cli::{args::Args, document::Form};
''','''    use crate::{
        api::Moment,
        cli::{args::Args, document::Form},
    };
'''),
('''    #[test]
    fn contradictions_are_wrong_usage() {''','''    #[test]
    fn a_period_is_read_from_now_on() {
        let line = "x backtest chat.yaml --from 6h --prometheus http://localhost:9090 -n llm";
        let Wish::Backtest(wish) = read(line).1 else { panic!("{line}") };
        assert_eq!((wish.from.unix(), wish.to.unix()), (1_795_248_000, 1_795_269_600));
        assert_eq!(wish.namespace.as_deref(), Some("llm"));
        let Wish::Backtest(wish) = read(&line.replace("6h", "2026-11-21T10:00:00Z --to 1h")).1 else { panic!("{line}") };
        assert_eq!((wish.from.unix(), wish.to.unix()), (1_795_255_200, 1_795_266_000));
    }

    #[test]
    fn contradictions_are_wrong_usage() {'''),
('''            "x lint",
''','''            "x lint",
            "x watch",
            "x convert",
            "x backtest chat.yaml --from 6h",
            "x backtest chat.yaml --from noon --prometheus http://localhost:9090",
            "x backtest chat.yaml --from 6h --prometheus localhost",
'''),
])
sub('src/cli/mod.rs',[
("pub mod args;\n","pub mod args;\npub mod backtest;\n"),
("pub mod completion;\n","pub mod completion;\npub mod convert;\n"),
("pub mod version;\n","pub mod version;\npub mod watch;\n"),
("let (place, wish) = Wish::read(args);","let (place, wish) = Wish::read(args, now());"),
('''        Wish::Lint(linted) =>''','''        Wish::Watch { name } => wait(async { watch::watch(&Cluster::connect(place).await?, &name, now).await })
            .map(|()| Said::default()),
        Wish::Backtest(period) => wait(backtest::backtest(&period)),
        Wish::Convert(files) => convert::convert(&files),
        Wish::Lint(linted) =>'''),
])
sub('src/cli/error.rs',[
('''    /// A file cannot be written.
''','''    /// There is nothing to draw on.
    #[error(
        "watch draws on a terminal, and this is none; see `kubectl llmrollout status {name}`, or `kubectl get llmrollout {name} -w`"
    )]
    NoTerminal {
        /// The name of the rollout.
        name: String,
    },
    /// Nobody else's analysis.
    #[error(
        "there is nothing to convert; name files with an AnalysisTemplate of Argo Rollouts, or with a Canary and the MetricTemplates of Flagger"
    )]
    NothingToConvert,
    /// The history cannot be reached.
    #[error("the history cannot be read; check --prometheus, and that it can be reached from here")]
    History(#[source] reqwest::Error),
    /// The history is not for everybody, or is none.
    #[error("the history is refused with HTTP {status}; check --prometheus (its address, up to /api) and --token-file")]
    HistoryRefused {
        /// The status.
        status: u16,
    },
    /// More than anybody reads.
    #[error("a gate would be asked {looks} times, and {most} are read at most; shorten the period with --from and --to")]
    TooLong {
        /// How often.
        looks: usize,
        /// How often at most.
        most: usize,
    },
    /// A file cannot be written.
'''),
('''                | Self::Unreadable { .. }
''','''                | Self::Unreadable { .. }
                | Self::NoTerminal { .. }
                | Self::NothingToConvert
                | Self::TooLong { .. }
'''),
('''        Asked::Orders => "the verb list on llmrolloutorders.llmrollout.io",
''','''        Asked::Orders => "the verb list on llmrolloutorders.llmrollout.io",
        Asked::Events => "the verb list on events",
'''),
])
sub('src/cli/cluster.rs',[
('''    /// Who asks.
    Whoami,
''','''    /// What happened to a rollout.
    Events,
    /// Who asks.
    Whoami,
'''),
('''    async fn pages(''','''    /// What happened to a rollout, as far as the cluster remembers.
    pub async fn events(&self, name: &str) -> Result<Vec<Event>, CliError> {
        let of = format!("involvedObject.kind={},involvedObject.name={name}", LlmRollout::kind(&()));
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        Ok(self.in_time(Asked::Events, api.list(&ListParams::default().fields(&of).limit(PAGE))).await?.items)
    }

    async fn pages('''),
('use kube::{\n','use k8s_openapi::api::core::v1::Event;\nuse kube::{\n'),
])
s=open(R+'tests/it/main.rs').read()
s=s.replace("mod source;\n","mod source;\nmod watch;\n"); open(R+'tests/it/main.rs','w').write(s)
