//! What was spent: reports from the days' sums, for `tollgate spend` and the admin plane.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use rusqlite::types::Value;
use tokio::runtime::Runtime;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use super::adjustments::{self, Adjustment, Change};
use super::batch::Batch;
use super::error::ErrorKind;
use super::portions::{self, Portion};
use super::rollup::{Sums, usage_and_money};
use super::row::Row;
use super::schema::{self, DAY_MS, SUMS};
use super::section::Location;
use super::server::ServerUrl;
use super::{LedgerError, postgres, sqlite, store};
use crate::dialect::Usage;
use crate::spend::Usd;

/// What a report is grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Who pays.
    Team,
    /// The key's name.
    Key,
    /// The model that was asked for.
    Model,
    /// The target that was called.
    Target,
    /// The day in UTC.
    Day,
}

/// What a report is about. The default is everything, in one sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The groups' labels, in this order.
    pub by: Vec<By>,
    /// The first day, in UTC.
    pub since: Option<NaiveDate>,
    /// The day after the last.
    pub until: Option<NaiveDate>,
    /// Only this team.
    pub team: Option<String>,
    /// Only keys of this name.
    pub key: Option<String>,
    /// Only what asked for this model.
    pub model: Option<String>,
    /// Only what went to this target.
    pub target: Option<String>,
}

/// What was spent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Days in their order, and within a day (or without days) what cost most first.
    pub groups: Vec<Group>,
    /// The sum of the groups.
    pub total: Totals,
}

/// One line of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// One for each of [`Query::by`]; days as `2027-01-31`.
    pub labels: Vec<String>,
    /// What was spent there.
    pub totals: Totals,
}

/// Sums of attempts and corrections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Attempts, whatever became of them.
    pub attempts: u64,
    /// Requests: first attempts.
    pub requests: u64,
    /// Attempts with a status of 400 or more.
    pub errors: u64,
    /// Attempts whose usage was counted by us.
    pub estimated: u64,
    /// Attempts without a price; they are in no cost.
    pub unpriced: u64,
    /// Attempts that the cache answered.
    pub cache_hits: u64,
    /// Corrections; their usage and amounts are in the sums below.
    pub corrections: u64,
    /// What was used.
    pub usage: Usage,
    /// What it cost.
    pub cost: Usd,
    /// What was not spent.
    pub savings: Usd,
}

/// What a key spent on a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Who pays.
    pub team: String,
    /// With which key, by its name.
    pub key: String,
    /// On which model, by the name that was asked for.
    pub model: String,
    /// How much.
    pub usd: Usd,
}

/// A place where the days' sums are not what the rows come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Day, team, key, model, target.
    pub labels: Vec<String>,
    /// What the sums say.
    pub sums: Totals,
    /// What the rows come to.
    pub rows: Totals,
}

/// A ledger that is open for reading. It may be written meanwhile.
///
/// Everything here blocks, for a minute at most: within a runtime, call it from `spawn_blocking`, and drop it there.
pub struct Reader(Source);

enum Source {
    Sqlite(rusqlite::Connection, String),
    Postgres(Box<Server>),
}

struct Server {
    runtime: Runtime,
    client: Client,
    url: ServerUrl,
}

/// A row that a statement brings: labels, and numbers.
type Labelled<const N: usize> = (Vec<String>, [i64; N]);

/// A value that a statement is given.
enum Parameter<'q> {
    Int(i64),
    Text(&'q str),
}

/// Stores one correction (a row with a `reason`) through the same code as the gateway's rows. Tells whether it was new.
///
/// Blocks like [`Reader`].
///
/// # Errors
///
/// A ledger that is not there (none is created), cannot be written, or would not take the row.
pub fn correct(location: &Location, row: Row<'_>) -> Result<bool, LedgerError> {
    // A path with a slip in it must not become a new ledger.
    drop(Reader::open(location)?);
    let batch = Batch::from_iter([row]);
    Ok(store::open(location)?.commit(&batch.in_order())? == 1)
}

impl Reader {
    /// Opens a ledger that is there.
    ///
    /// # Errors
    ///
    /// One that is not there, is no ledger, cannot be reached, or has tables of another version.
    pub fn open(location: &Location) -> Result<Self, LedgerError> {
        let source = match location {
            Location::Sqlite(path) => {
                Source::Sqlite(sqlite::open_to_read(path)?, path.display().to_string())
            }
            Location::Postgres(url) => Source::Postgres(Box::new(Server::open(url)?)),
        };
        Ok(Self(source))
    }

    /// What was spent. Reads the days' sums only: its time depends on days and names, not on requests.
    ///
    /// # Errors
    ///
    /// A store that cannot be read.
    pub fn report(&self, query: &Query) -> Result<Report, LedgerError> {
        let (sql, parameters) = statement(query);
        let rows = self.select(&sql, &parameters, query.by.len())?;
        let mut report = Report::default();
        let mut total: Sums = [0; SUMS];
        for (labels, sums) in rows {
            for (total, sum) in total.iter_mut().zip(sums) {
                *total = total.saturating_add(sum);
            }
            report.groups.push(Group {
                labels,
                totals: Totals::of(&sums),
            });
        }
        report.total = Totals::of(&total);
        let day = query.by.iter().position(|by| *by == By::Day);
        report.groups.sort_by(|a, b| {
            let by_day = day.map(|day| number(&a.labels[day]).cmp(&number(&b.labels[day])));
            let by_cost = b.totals.cost.cmp(&a.totals.cost);
            let order = by_day.unwrap_or(std::cmp::Ordering::Equal).then(by_cost);
            order.then_with(|| a.labels.cmp(&b.labels))
        });
        if let Some(day) = day {
            for group in &mut report.groups {
                group.labels[day] = date_text(&group.labels[day]);
            }
        }
        Ok(report)
    }

    /// Adds all rows up anew and compares them with the days' sums, for the days of which no row has been deleted. Empty if
    /// all is well. Its time grows with the rows: a second or more for each million.
    ///
    /// # Errors
    ///
    /// A store that cannot be read.
    pub fn rebuild_check(&self) -> Result<Vec<Difference>, LedgerError> {
        // In one statement, so that both halves see the same moment.
        let since = format!(
            "(SELECT coalesce(max((value + {DAY_MS} - 1) / {DAY_MS}), -100000000) FROM meta WHERE name = 'pruned_before_ms')"
        );
        let sums = schema::list(schema::sum_names());
        let rows = schema::list(schema::sums_of_attempts().map(|sum| whole_sum(&sum)));
        let sql = format!(
            "SELECT 'sums', CAST(day AS TEXT), team, key, model, target, {sums} FROM daily WHERE day >= {since}
             UNION ALL
             SELECT 'rows', CAST(time_ms / {DAY_MS} AS TEXT), team, key, model, target, {rows} FROM attempts
             WHERE time_ms >= {since} * {DAY_MS} GROUP BY time_ms / {DAY_MS}, team, key, model, target"
        );
        let mut places: BTreeMap<Vec<String>, [Sums; 2]> = BTreeMap::new();
        for (mut labels, sums) in self.select(&sql, &[], 6)? {
            let is_rows = labels.remove(0) == "rows";
            places.entry(labels).or_insert([[0; SUMS]; 2])[usize::from(is_rows)] = sums;
        }
        let different = places.into_iter().filter(|(_, [sums, rows])| sums != rows);
        Ok(different
            .map(|(mut labels, [sums, rows])| {
                labels[0] = date_text(&labels[0]);
                Difference {
                    labels,
                    sums: Totals::of(&sums),
                    rows: Totals::of(&rows),
                }
            })
            .collect())
    }

    /// What was spent from `start` on, to the pico-dollar: by the days' sums, and where it begins within a day (in UTC), by
    /// that day's rows.
    ///
    /// # Errors
    ///
    /// A store that cannot be read.
    pub fn spent_since(&self, start: DateTime<Utc>) -> Result<Vec<Spent>, LedgerError> {
        let start_ms = start.timestamp_millis();
        let day = (start_ms + DAY_MS - 1).div_euclid(DAY_MS);
        let sums = ["cost_micro", "cost_pico"].map(whole_sum).join(", ");
        let sql = format!(
            "SELECT team, key, model, {sums} FROM daily WHERE day >= $1 GROUP BY team, key, model UNION ALL
             SELECT team, key, model, {sums} FROM attempts WHERE time_ms >= $2 AND time_ms < $3 GROUP BY team, key, model"
        );
        let parameters = [day, start_ms, day * DAY_MS].map(Parameter::Int);
        let rows = self.select_numbers::<2>(&sql, &parameters, 3)?;
        let spent = rows.into_iter().map(|(labels, [micro, pico])| {
            let mut labels = labels.into_iter();
            let mut next = || labels.next().unwrap_or_default();
            Spent {
                team: next(),
                key: next(),
                model: next(),
                usd: Usd::join(micro.into(), pico.into()),
            }
        });
        Ok(spent.collect())
    }

    /// A number that this ledger has and no other one.
    ///
    /// # Errors
    ///
    /// A store that cannot be read.
    pub fn id(&self) -> Result<i64, LedgerError> {
        let sql = "SELECT name, value FROM meta WHERE name = 'ledger'";
        let rows = self.select_numbers::<1>(sql, &[], 1)?;
        Ok(rows.first().map_or(0, |(_, [id])| *id))
    }

    /// The portions that were noted.
    ///
    /// # Errors
    ///
    /// A store that cannot be read.
    pub fn portions(&self) -> Result<Vec<Portion>, LedgerError> {
        let rows = self.select_numbers::<5>(portions::SELECT, &[], 3)?;
        let portion =
            |(labels, [settled_micro, settled_pico, micro, pico, ends_ms]): Labelled<5>| Portion {
                budget: labels[0].as_str().into(),
                window: labels[1].as_str().into(),
                ends_ms,
                replica: labels[2].as_str().into(),
                settled: Usd::join(settled_micro.into(), settled_pico.into()),
                bound: Usd::join(micro.into(), pico.into()),
            };
        Ok(rows.into_iter().map(portion).collect())
    }

    /// The adjustments that were noted, the earlier first.
    ///
    /// # Errors
    ///
    /// A store that cannot be read.
    pub fn adjustments(&self) -> Result<Vec<Adjustment>, LedgerError> {
        let rows = self.select_numbers::<3>(adjustments::SELECT, &[], 6)?;
        let adjustment = |(labels, [time_ms, micro, pico]): Labelled<3>| {
            let [id, budget, window, kind, by, why] = <[String; 6]>::try_from(labels).ok()?;
            Some(Adjustment {
                id: id.into(),
                time_ms,
                budget: budget.into(),
                window: window.into(),
                change: Change::named(&kind, Usd::join(micro.into(), pico.into()))?,
                by,
                why,
            })
        };
        Ok(rows.into_iter().filter_map(adjustment).collect())
    }

    /// Runs a statement whose rows are so many labels and then all sums.
    fn select(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
        labels: usize,
    ) -> Result<Vec<(Vec<String>, Sums)>, LedgerError> {
        self.select_numbers(sql, parameters, labels)
    }

    /// Runs a statement whose rows are so many labels and then `N` numbers.
    fn select_numbers<const N: usize>(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
        labels: usize,
    ) -> Result<Vec<Labelled<N>>, LedgerError> {
        match &self.0 {
            Source::Sqlite(connection, place) => {
                select_in_file(connection, sql, parameters, labels)
                    .map_err(|error| sqlite::error_of(&error, place))
            }
            Source::Postgres(server) => server
                .runtime
                .block_on(server.select(sql, parameters, labels))
                .map_err(|error| server.url.error(&error)),
        }
    }
}

fn select_in_file<const N: usize>(
    connection: &rusqlite::Connection,
    sql: &str,
    parameters: &[Parameter<'_>],
    labels: usize,
) -> rusqlite::Result<Vec<Labelled<N>>> {
    let values = parameters.iter().map(|parameter| match parameter {
        Parameter::Int(int) => Value::Integer(*int),
        Parameter::Text(text) => Value::Text((*text).to_owned()),
    });
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map(rusqlite::params_from_iter(values), |row| {
        let texts = (0..labels).map(|index| row.get(index));
        let texts = texts.collect::<rusqlite::Result<Vec<String>>>()?;
        let mut sums = [0; N];
        for (index, sum) in sums.iter_mut().enumerate() {
            *sum = row.get(labels + index)?;
        }
        Ok((texts, sums))
    })?;
    rows.collect()
}

impl Server {
    fn open(url: &ServerUrl) -> Result<Self, LedgerError> {
        let runtime = postgres::runtime(url)?;
        let (client, version) = runtime.block_on(async {
            let client = url.connect().await?;
            let version = postgres::version(&client).await;
            let version = version.map_err(|error| url.error(&error))?;
            Ok::<_, LedgerError>((client, version))
        })?;
        let place = url.to_string();
        let known = schema::VERSION;
        let (kind, detail) = match version {
            Some(version) if version == known => {
                let url = url.clone();
                return Ok(Self {
                    runtime,
                    client,
                    url,
                });
            }
            Some(version) if version > known => return Err(LedgerError::newer(&place, version)),
            Some(version) => (
                ErrorKind::Older,
                format!("its tables have version {version}, and {known} is read"),
            ),
            None => (
                ErrorKind::Missing,
                "the database holds no ledger".to_owned(),
            ),
        };
        Err(LedgerError::new(kind, &place, detail))
    }

    async fn select<const N: usize>(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
        labels: usize,
    ) -> Result<Vec<Labelled<N>>, tokio_postgres::Error> {
        let begin = "ROLLBACK; BEGIN READ ONLY; SET LOCAL search_path = tollgate; SET LOCAL statement_timeout = 60000";
        self.client.batch_execute(begin).await?;
        let values: Vec<(&(dyn ToSql + Sync), Type)> = parameters
            .iter()
            .map(|parameter| match parameter {
                Parameter::Int(int) => (int as &(dyn ToSql + Sync), Type::INT8),
                Parameter::Text(text) => (text as &(dyn ToSql + Sync), Type::TEXT),
            })
            .collect();
        let rows = self.client.query_typed(sql, &values).await?;
        self.client.batch_execute("COMMIT").await?;
        let read = |row: &tokio_postgres::Row| {
            let texts = (0..labels).map(|index| row.try_get(index));
            let texts = texts.collect::<Result<Vec<String>, _>>()?;
            let mut sums = [0; N];
            for (index, sum) in sums.iter_mut().enumerate() {
                *sum = row.try_get(labels + index)?;
            }
            Ok((texts, sums))
        };
        rows.iter().map(read).collect()
    }
}

impl Totals {
    fn of(sums: &Sums) -> Self {
        let count = |index: usize| u64::try_from(sums[index]).unwrap_or(0);
        let (usage, cost, savings) = usage_and_money(sums);
        Self {
            attempts: count(0),
            requests: count(1),
            errors: count(2),
            estimated: count(3),
            unpriced: count(4),
            cache_hits: count(5),
            corrections: count(6),
            usage,
            cost,
            savings,
        }
    }
}

/// The statement of a query. Its parameters are numbered in the order in which they stand in it, as both stores want.
fn statement(query: &Query) -> (String, Vec<Parameter<'_>>) {
    let day = |date: NaiveDate| (date - NaiveDate::default()).num_days();
    let conditions = [
        ("day >=", query.since.map(day).map(Parameter::Int)),
        ("day <", query.until.map(day).map(Parameter::Int)),
        ("team =", query.team.as_deref().map(Parameter::Text)),
        ("key =", query.key.as_deref().map(Parameter::Text)),
        ("model =", query.model.as_deref().map(Parameter::Text)),
        ("target =", query.target.as_deref().map(Parameter::Text)),
    ];
    let mut sql_conditions = String::new();
    let mut parameters = Vec::new();
    for (condition, parameter) in conditions {
        let Some(parameter) = parameter else { continue };
        parameters.push(parameter);
        sql_conditions.push_str(&format!(" AND {condition} ${}", parameters.len()));
    }
    let columns: Vec<_> = query.by.iter().map(|by| by.column()).collect();
    let labels = columns
        .iter()
        .map(|column| format!("CAST({column} AS TEXT)"));
    let sums = schema::sum_names().map(whole_sum);
    let selected = schema::list(labels.chain(sums));
    let grouped = match columns.is_empty() {
        true => String::new(),
        false => format!(" GROUP BY {}", schema::list(columns)),
    };
    let sql = format!("SELECT {selected} FROM daily WHERE 1 = 1{sql_conditions}{grouped}");
    (sql, parameters)
}

/// A sum as a whole number, which it is in SQLite anyhow; 0 of nothing.
fn whole_sum(of: impl AsRef<str>) -> String {
    format!("CAST(coalesce(sum({}), 0) AS BIGINT)", of.as_ref())
}

impl By {
    const fn column(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::Key => "key",
            Self::Model => "model",
            Self::Target => "target",
            Self::Day => "day",
        }
    }
}

fn number(day: &str) -> i64 {
    day.parse().unwrap_or(0)
}

/// A number of days since 1970-01-01 as a date.
fn date_text(day: &str) -> String {
    let date = chrono::TimeDelta::try_days(number(day))
        .and_then(|days| NaiveDate::default().checked_add_signed(days));
    date.map_or_else(|| day.to_owned(), |date| date.to_string())
}
