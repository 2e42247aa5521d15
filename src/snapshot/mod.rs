//! The whole configuration, resolved and immutable, as requests see it.
//!
//! Invariant: a snapshot that exists is valid. A request takes one at its beginning and keeps it to its end, whatever is
//! reloaded meanwhile.

#[cfg(test)]
mod reference;
mod section;

pub use section::{AdminSection, File, ListenSection, ServerSection, TlsSection};

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

use crate::access::budgets::Page;
use crate::access::limits::{Forecast, Limiter, Limiters};
use crate::access::state::Store;
use crate::access::{Counters, Key, Keys, Team, state};
use crate::config::{Diagnostics, Document, Environment, ScalarOr, Secret};
use crate::provider::{Dialer, Provider, check_calls};
use crate::route::health::Wards;
use crate::route::{Model, Models, Providers};
use crate::spend::ledger;
use crate::spend::prices::Prices;
use crate::telemetry::{LogFormat, Metrics, Series};

/// The file that `serve` runs when none is named.
pub const QUICKSTART: &str = include_str!("../../config/quickstart.yaml");

/// The name of [`QUICKSTART`] in diagnostics.
pub const QUICKSTART_NAME: &str = "quickstart.yaml (embedded)";

/// The fewest characters of `admin.aws_secret`: what is derived with a short one can be guessed.
const AWS_SECRET_MIN: usize = 32;

/// The configuration in force.
pub struct Snapshot {
    /// Where applications connect.
    pub listen: ListenSection,
    /// Where operators connect.
    pub admin: Option<AdminSection>,
    /// Limits of the server, and how it ends.
    pub server: ServerSection,
    /// Who presents which key.
    pub keys: Keys,
    /// What may be asked for.
    pub models: Models,
    /// What models cost.
    pub prices: Prices,
    /// Where what was spent is kept; None where it is not.
    pub ledger: Option<ledger::Settings>,
    /// Where replicas share budgets and limits; None where each has its own.
    pub state: Option<state::Settings>,
    /// The form of log lines.
    pub log: LogFormat,
    /// Files besides the configuration that it was read from.
    pub files: Vec<PathBuf>,
    /// The configuration as it was read, secrets hidden, as YAML.
    pub shown: String,
    providers: HashMap<String, Arc<Provider>>,
    /// How targets fare, by the names of this configuration, of those before it and of those to come.
    pub wards: Arc<Wards>,
    /// What is counted under the names of this configuration, of those before it and of those to come.
    counters: Arc<Counters>,
    /// The limits of providers, by their names: these are few, and sooner compared than hashed.
    provider_limiters: BTreeMap<String, Limiter>,
    /// The limits of models, in their order.
    model_limits: Vec<ModelLimits>,
    /// A team's row holds a model's places: one for each of its targets, and one for requests that came to none.
    series: Vec<Vec<Box<[Places]>>>,
}

/// The limits of a model, and what its requests are foretold to use.
struct ModelLimits {
    limiter: Option<Limiter>,
    forecast: Arc<Forecast>,
}

/// The metric handles of a team's requests for a model, made when they are first needed.
#[derive(Default)]
struct Places {
    /// Under the names of the configuration.
    configured: OnceLock<Arc<Series>>,
    /// Under the names that a pattern stood for.
    matched: RwLock<HashMap<String, Arc<Series>>>,
}

/// How many names that a pattern stands for have metrics of their own; the others share the pattern's.
const MATCHED_MAX: usize = 100;

/// What a reading brought: a snapshot unless there were errors, and what was said about the file.
pub struct Reading {
    /// The snapshot, if the file is good.
    pub snapshot: Option<Snapshot>,
    /// Errors and warnings.
    pub diagnostics: Diagnostics,
}

impl Snapshot {
    /// Reads and resolves a file. Connections of `previous` to providers that stay are kept.
    pub fn read(
        name: &str,
        text: &str,
        environment: &dyn Environment,
        dialer: &Arc<Dialer>,
        previous: Option<&Self>,
    ) -> Reading {
        let mut document = Document::parse(name, text, environment);
        let resolved = document.read::<File>().map(|file| {
            Self::resolve(
                file,
                name == QUICKSTART_NAME,
                dialer,
                previous,
                &mut document,
            )
        });
        let files = document.files().to_vec();
        let shown = document.shown();
        let diagnostics = document.finish();
        let snapshot = resolved
            .filter(|_| !diagnostics.has_errors())
            .map(|resolved| Self {
                files,
                shown,
                ..resolved
            });
        Reading {
            snapshot,
            diagnostics,
        }
    }

    fn resolve(
        file: File,
        is_quickstart: bool,
        dialer: &Arc<Dialer>,
        previous: Option<&Self>,
        document: &mut Document,
    ) -> Self {
        check_address(&["listen"], file.listen.address(), document);
        check_tls(file.listen.tls(), document);
        if let Some(admin) = &file.admin {
            check_address(&["admin", "listen"], &admin.listen, document);
            if admin
                .aws_secret
                .as_ref()
                .is_some_and(|secret| secret.expose().len() < AWS_SECRET_MIN)
            {
                document
                    .error(
                        &["admin", "aws_secret"],
                        format!("`aws_secret` has fewer than {AWS_SECRET_MIN} characters"),
                    )
                    .help("make one: openssl rand -hex 32");
            }
        }
        check_server(&file.server, document);
        check_calls(
            &["defaults"],
            &file.defaults.timeout,
            file.defaults.retry.as_ref(),
            file.defaults.health.as_ref(),
            document,
        );
        let provider_names: Vec<String> = file.providers.keys().cloned().collect();
        let mut providers = HashMap::new();
        for (name, section) in file.providers {
            if name.contains('/') {
                document
                    .error_at_key(&["providers", &name], "a provider's name holds no `/`")
                    .help("a target is split at its first one");
            }
            let before = previous.and_then(|previous| previous.providers.get(&name));
            let before = before.map(Arc::as_ref);
            let provider = Provider::resolve(&name, section, dialer, before, document);
            providers.extend(provider.map(|provider| (name, Arc::new(provider))));
        }
        let model_names: Vec<String> = file.models.keys().cloned().collect();
        let team_count = file.teams.len();
        let models = file.models.into_iter().collect();
        let wards = previous.map_or_else(Arc::default, |previous| previous.wards.clone());
        let named = Providers {
            by_name: &providers,
            names: &provider_names,
        };
        let models = Models::resolve(models, &file.defaults, &named, &wards, document);
        let ledger = file.ledger.as_ref();
        let ledger =
            ledger.and_then(|section| ledger::Settings::resolve(section, &["ledger"], document));
        let state = file.state.as_ref();
        let state =
            state.and_then(|section| state::Settings::resolve(section, &["state"], document));
        let prices = Prices::resolve(file.prices, &provider_names, document);
        for model in models.all() {
            model.warn_of_order(&prices, &wards, document);
            model.warn_of_breaking(&wards, document);
        }
        let teams = file.teams.into_iter().collect();
        let counters = previous.map_or_else(Arc::default, |previous| previous.counters.clone());
        let keys = Keys::resolve(teams, is_quickstart, &model_names, &counters, document);
        if ledger.is_none() {
            warn_of_forgetting(&keys, document);
        }
        let limiter = |provider: &Arc<Provider>| {
            let limiter = counters.limiter("provider", &[&provider.name], provider.limits)?;
            Some((provider.name.clone(), limiter))
        };
        let provider_limiters = providers.values().filter_map(limiter).collect();
        let limits = |model: &Arc<Model>| ModelLimits {
            limiter: counters.limiter("model", &[&model.name], model.limits),
            forecast: counters.forecast(&model.name),
        };
        let model_limits = models.all().iter().map(limits).collect();
        let places = |model: &Arc<Model>| (0..=model.spots.len()).map(|_| Places::default());
        let row = || models.all().iter().map(|model| places(model).collect());
        let series = (0..team_count).map(|_| row().collect()).collect();
        Self {
            listen: file.listen,
            admin: file.admin,
            server: file.server,
            keys,
            models,
            prices,
            ledger,
            state,
            log: file.telemetry.log,
            files: Vec::new(),
            shown: String::new(),
            providers,
            wards,
            counters,
            provider_limiters,
            model_limits,
            series,
        }
    }

    /// What the secrets of AWS access keys are derived with.
    pub fn aws_secret(&self) -> Option<&Secret> {
        self.admin.as_ref()?.aws_secret.as_ref()
    }

    /// The provider of that name.
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.get(name).map(Arc::as_ref)
    }

    /// From now on this configuration's limits, and those of its successors, are shared with all replicas.
    pub fn share_limits(&self, store: &Arc<Store>) {
        self.counters.share(store);
    }

    /// The slots that are shared with all replicas.
    pub fn slots(&self) -> Vec<Arc<Page>> {
        self.counters.slots()
    }

    /// What limits the requests of a key for a model.
    pub fn limiters<'a>(&'a self, key: &'a Key, model: &Model) -> Limiters<'a, 3> {
        let of_key = [key.limiter.as_ref(), key.team.limiter.as_ref()];
        let of_model = self.model_limits[model.index].limiter.as_ref();
        [of_key[0], of_key[1], of_model]
    }

    /// What limits the calls of a provider.
    pub fn provider_limiter(&self, provider: &Provider) -> Option<&Limiter> {
        self.provider_limiters.get(&provider.name)
    }

    /// What the tokens of a request for a model are foretold by.
    pub fn forecast(&self, model: &Model) -> &Arc<Forecast> {
        &self.model_limits[model.index].forecast
    }

    /// The metric handles of a team's requests for a model that went to one of its targets, if to any. What a pattern stood for
    /// gets labels of its own only when the provider has answered well, which it does for models that exist: no caller can make
    /// labels up.
    pub fn series(
        &self,
        team: &Team,
        model: &Model,
        asked: &str,
        place: Option<(usize, &str)>,
        is_success: bool,
        metrics: &Metrics,
    ) -> Arc<Series> {
        // Where there is but one target, requests that came to none would have gone there.
        let only = (model.spots.len() == 1).then_some((0, ""));
        let place = place.or(only);
        let spot = place.map_or(model.spots.len(), |(spot, _)| spot);
        let target = place.map_or("", |(_, target)| target);
        let places = &self.series[team.index][model.index][spot];
        if *model.name != *asked {
            let matched = places.matched.read().get(asked).cloned();
            if let Some(series) = matched {
                return series;
            }
            let mut matched = places.matched.write();
            if is_success && matched.len() < MATCHED_MAX {
                let series = Arc::new(metrics.series(&team.name, asked, target));
                matched.insert(asked.to_owned(), series.clone());
                return series;
            }
        }
        let configured = || {
            let spot = model.spots.get(spot);
            let target = spot.map_or("", |spot| &spot.target);
            Arc::new(metrics.series(&team.name, &model.name, target))
        };
        places.configured.get_or_init(configured).clone()
    }

    /// Every provider.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.providers.values().map(Arc::as_ref)
    }

    /// What of `new` needs a restart and so does not take effect by a reload.
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let listen = |snapshot: &Self| {
            let tls = snapshot.listen.tls().cloned();
            (snapshot.listen.address().to_owned(), tls)
        };
        let admin = |snapshot: &Self| snapshot.admin.as_ref().map(|admin| admin.listen.clone());
        let changes = [
            ("listen", listen(self) != listen(new)),
            ("admin.listen", admin(self) != admin(new)),
            ("ledger", self.ledger != new.ledger),
            ("state", self.state != new.state),
            (
                "server.max_connections",
                self.server.max_connections != new.server.max_connections,
            ),
        ];
        let changed = changes.into_iter().filter(|(_, is_changed)| *is_changed);
        changed.map(|(name, _)| name).collect()
    }
}

/// The ledger of a configuration, of which the rest is not looked at: whoever reads the ledger need not have the secrets
/// of providers.
///
/// # Errors
/// What is wrong, where the ledger's section is.
pub fn ledger_of(
    name: &str,
    text: &str,
    environment: &dyn Environment,
) -> Result<Option<ledger::Settings>, Diagnostics> {
    let mut document = Document::parse(name, text, environment);
    let file = document.read::<File>();
    let is_there = document.has(&["ledger"]);
    let section = file.and_then(|file| file.ledger);
    let settings = section
        .as_ref()
        .and_then(|section| ledger::Settings::resolve(section, &["ledger"], &mut document));
    let is_off = section
        .is_some_and(|section| matches!(section, ScalarOr::Scalar(word) if word.expose() == "off"));
    match settings {
        None if is_there && !is_off => Err(document.finish()),
        settings => Ok(settings),
    }
}

fn check_address(path: &[&str], address: &str, document: &mut Document) {
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    let good = address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && is_port(port));
    if !good {
        document
            .error(path, format!("`{address}` is no address to listen on"))
            .help("it has the form host:port, such as 0.0.0.0:8080");
    }
}

fn check_server(server: &ServerSection, document: &mut Document) {
    let nothing = [
        ("max_body", server.max_body.0 == 0),
        ("max_answer", server.max_answer.0 == 0),
        ("head_timeout", server.head_timeout.0.is_zero()),
        ("body_timeout", server.body_timeout.0.is_zero()),
        ("idle_timeout", server.idle_timeout.0.is_zero()),
    ];
    for (field, _) in nothing.into_iter().filter(|(_, is_nothing)| *is_nothing) {
        document
            .error(
                &["server", field],
                format!("with `{field}: 0` nothing could be served"),
            )
            .help("leave it out for its default");
    }
}

fn check_tls(tls: Option<&TlsSection>, document: &mut Document) {
    let Some(tls) = tls else { return };
    for (field, file) in [("cert", &tls.cert), ("key", &tls.key)] {
        if let Err(error) = std::fs::metadata(file) {
            document.error(
                &["listen", "tls", field],
                format!("cannot read the file: {error}"),
            );
        }
    }
}

/// Warns of budgets that would be kept, were there a ledger to keep them in.
fn warn_of_forgetting(keys: &Keys, document: &mut Document) {
    let hard = keys.funds().filter(|fund| fund.is_hard());
    let of_users = keys.allowances().filter(|allowance| allowance.is_hard());
    let teams = hard.map(|fund| fund.owner.team());
    let teams: BTreeSet<_> = teams.chain(of_users.map(|one| one.owner.team())).collect();
    for team in teams {
        document
            .warning(
                &["teams", team],
                format!("the budgets of `{team}` begin anew with every start"),
            )
            .help("a ledger keeps what was spent: add `ledger: sqlite:tollgate.db`");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProcessEnvironment;

    #[test]
    fn a_budget_without_a_ledger_is_warned_of() {
        let budget = "\nteams:\n  t: { models: \"*\", budget: { usd: 1, per: day }, keys: [] }\n";
        let key = "sha256: \"0000000000000000000000000000000000000000000000000000000000000000\"";
        let with_key = budget.replace("keys: []", &format!("keys: [ {{ name: k, {key} }} ]"));
        let of_users = with_key.replace("budget: {", "per_user: { budget: {");
        let of_users = of_users.replace("day }", "day } }");
        for (ledger, teams, warnings) in [
            ("", &with_key, 1),
            ("", &of_users, 1),
            ("ledger: sqlite:l.db", &with_key, 0),
            ("ledger: sqlite:l.db", &of_users, 0),
        ] {
            let text = format!("listen: 127.0.0.1:0\n{ledger}{teams}");
            let dialer = Arc::new(Dialer::new());
            let reading = Snapshot::read("a.yaml", &text, &ProcessEnvironment, &dialer, None);
            let said = reading.diagnostics.to_string();
            let is_warned = said.contains("the budgets of `t` begin anew with every start");
            assert_eq!(is_warned, warnings == 1, "{said}");
        }
    }

    #[test]
    fn the_embedded_file_is_good() {
        let dialer = Arc::new(Dialer::new());
        let environment = ProcessEnvironment;
        let reading = Snapshot::read(QUICKSTART_NAME, QUICKSTART, &environment, &dialer, None);
        assert!(reading.snapshot.is_some(), "{}", reading.diagnostics);
    }

    #[test]
    fn no_other_file_may_use_the_demo_key() {
        let dialer = Arc::new(Dialer::new());
        let environment = ProcessEnvironment;
        let reading = Snapshot::read("other.yaml", QUICKSTART, &environment, &dialer, None);
        assert!(reading.snapshot.is_none());
        assert!(reading.diagnostics.to_string().contains("tg_demo"));
    }
}
