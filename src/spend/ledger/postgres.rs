//! The ledger in a Postgres server, which many replicas may share: the same tables, in a schema named `tollgate`.
//!
//! Every transaction brings its own settings, and no statement is prepared by name, so that a pooler may stand in between. A
//! commit is as durable as the server's `synchronous_commit` says.

use std::collections::HashSet;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::LedgerError;
use super::arrays::{Column, columns_of_sums, transposed};
use super::batch::{self, Written};
use super::cells::{self, Cell};
use super::error::ErrorKind;
use super::notes::Note;
use super::portions;
use super::rollup::rollup;
use super::row::Row;
use super::schema::{self, SUMS};
use super::server::ServerUrl;
use super::store::Store;

/// What every transaction begins with, so that nothing in it hangs. Times are in milliseconds.
const BEGIN: &str = "BEGIN; SET LOCAL search_path = tollgate; SET LOCAL statement_timeout = 10000;
SET LOCAL lock_timeout = 5000; SET LOCAL idle_in_transaction_session_timeout = 20000";

/// How long one transaction may take in all, should the server's own limits not end it.
const TRANSACTION_MAX: Duration = Duration::from_secs(30);

/// How long a failed transaction may take to be rolled back, before the connection is given up instead.
const ROLLBACK_MAX: Duration = Duration::from_secs(1);

/// How often a transaction that was in another's way, or whose connection had gone, is tried again at once.
const TRIES_MAX: usize = 5;

/// Keeps replicas that start at once from making the tables twice: any number that is always the same.
const MIGRATION_LOCK: i64 = 0x746f_6c6c_6761_7465;

/// A server that is written to.
pub(super) struct PostgresStore {
    runtime: Runtime,
    url: ServerUrl,
    /// None before the first use, and after the connection was lost.
    client: Option<Client>,
    statements: Statements,
}

/// The statements of every batch.
struct Statements {
    insert: String,
    add: String,
}

/// What one transaction does.
#[derive(Clone, Copy)]
enum Work<'w> {
    Migrate(&'w [fn() -> String]),
    Commit(&'w [Written<'w>]),
    Note(&'w [Note]),
    Refuse(&'w Row<'w>, &'w str),
    Prune(i64, usize),
    PrunePortions(i64, usize),
}

impl PostgresStore {
    /// Connects, and makes the tables that are missing.
    pub fn open(url: &ServerUrl) -> Result<Self, LedgerError> {
        Self::open_with(url, &schema::MIGRATIONS)
    }

    pub(super) fn open_with(
        url: &ServerUrl,
        migrations: &[fn() -> String],
    ) -> Result<Self, LedgerError> {
        let mut store = Self {
            runtime: runtime(url)?,
            url: url.clone(),
            client: None,
            statements: Statements::new(),
        };
        store.transact(Work::Migrate(migrations))?;
        Ok(store)
    }

    fn transact(&mut self, work: Work<'_>) -> Result<usize, LedgerError> {
        let Self {
            runtime,
            url,
            client,
            statements,
        } = self;
        runtime.block_on(async {
            for _ in 1..TRIES_MAX {
                let had_connection = client.is_some();
                let error = match try_once(url, client, statements, work).await {
                    Ok(count) => return Ok(count),
                    Err(error) => error,
                };
                // A server that was restarted while we had nothing to say shows only now.
                let was_idle = had_connection && error.kind == ErrorKind::Unreachable;
                if !was_idle && error.kind != ErrorKind::Conflict {
                    return Err(error);
                }
            }
            try_once(url, client, statements, work).await
        })
    }
}

impl Store for PostgresStore {
    fn commit(&mut self, rows: &[Written<'_>]) -> Result<usize, LedgerError> {
        self.transact(Work::Commit(rows))
    }

    fn note(&mut self, notes: &[Note]) -> Result<(), LedgerError> {
        self.transact(Work::Note(notes)).map(drop)
    }

    fn refuse(&mut self, row: &Row<'_>, why: &str) -> Result<(), LedgerError> {
        self.transact(Work::Refuse(row, why)).map(drop)
    }

    fn prune(&mut self, before_ms: i64, rows_max: usize) -> Result<usize, LedgerError> {
        self.transact(Work::Prune(before_ms, rows_max))
    }

    fn prune_portions(&mut self, before_ms: i64, rows_max: usize) -> Result<usize, LedgerError> {
        self.transact(Work::PrunePortions(before_ms, rows_max))
    }
}

impl Statements {
    fn new() -> Self {
        let numbers = |count: usize| schema::list((1..=count).map(|number| format!("${number}")));
        Self {
            insert: format!(
                "INSERT INTO attempts ({}) SELECT * FROM unnest({}) ON CONFLICT (time_ms, id) DO NOTHING RETURNING time_ms, id",
                schema::list(cells::column_names()),
                numbers(cells::COLUMNS)
            ),
            add: format!(
                "INSERT INTO daily (day, team, key, model, target, {}) SELECT * FROM unnest({}) {}",
                schema::list(schema::sum_names()),
                numbers(5 + SUMS),
                schema::on_conflict_add()
            ),
        }
    }
}

/// A runtime of this thread's own. Its connections are driven while something is asked of them.
pub(super) fn runtime(url: &ServerUrl) -> Result<Runtime, LedgerError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| LedgerError::new(ErrorKind::Other, &url.to_string(), error))
}

async fn try_once(
    url: &ServerUrl,
    kept: &mut Option<Client>,
    statements: &Statements,
    work: Work<'_>,
) -> Result<usize, LedgerError> {
    let client = match kept.take() {
        Some(client) if !client.is_closed() => client,
        _ => url.connect().await?,
    };
    let running = tokio::time::timeout(TRANSACTION_MAX, run(&client, statements, work, url));
    let Ok(done) = running.await else {
        // The connection goes with whatever it hung in.
        let detail = format!("no answer within {} s", TRANSACTION_MAX.as_secs());
        return Err(LedgerError::new(
            ErrorKind::Unreachable,
            &url.to_string(),
            detail,
        ));
    };
    let error = match done {
        Ok(count) => {
            *kept = Some(client);
            return Ok(count);
        }
        Err(Trouble::Ours(error)) => error,
        Err(Trouble::Server(error)) => url.error(&error),
    };
    if !matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Tls) {
        let rolled_back = tokio::time::timeout(ROLLBACK_MAX, client.batch_execute("ROLLBACK"));
        *kept = matches!(rolled_back.await, Ok(Ok(()))).then_some(client);
    }
    Err(error)
}

async fn run(
    client: &Client,
    statements: &Statements,
    work: Work<'_>,
    url: &ServerUrl,
) -> Result<usize, Trouble> {
    client.batch_execute(BEGIN).await?;
    let count = match work {
        Work::Migrate(migrations) => migrate(client, migrations, &url.to_string()).await?,
        Work::Commit(rows) => commit(client, statements, rows, &url.to_string()).await?,
        Work::Note(notes) => note_all(client, notes).await?,
        Work::Refuse(row, why) => refuse(client, row, why).await?,
        Work::Prune(before_ms, rows_max) => prune(client, before_ms, rows_max).await?,
        Work::PrunePortions(before_ms, rows_max) => {
            prune_portions(client, before_ms, rows_max).await?
        }
    };
    client.batch_execute("COMMIT").await?;
    Ok(count)
}

/// Prices, rows, sums: every writer takes them in this order, and each of them sorted, so no two wait for each other.
async fn commit(
    client: &Client,
    statements: &Statements,
    rows: &[Written<'_>],
    place: &str,
) -> Result<usize, Trouble> {
    insert_prices(client, rows).await?;
    let columns = transposed(rows, place)?;
    let parameters: Vec<_> = columns.iter().map(Column::parameter).collect();
    let inserted = client
        .query_typed(&statements.insert, &parameters)
        .await?
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect::<Result<HashSet<(i64, Uuid)>, tokio_postgres::Error>>()?;
    let new = inserted.len();
    let mut uncounted = inserted;
    // A row that stands twice in a batch was inserted once.
    let is_new = |row: &&Written<'_>| uncounted.remove(&row.identity());
    let places = rollup(rows.iter().filter(is_new));
    if !places.is_empty() {
        let columns = columns_of_sums(&places);
        let parameters: Vec<_> = columns.iter().map(Column::parameter).collect();
        client.query_typed(&statements.add, &parameters).await?;
    }
    Ok(new)
}

/// Prices are immutable: whoever used one first has written what it was.
async fn insert_prices(client: &Client, rows: &[Written<'_>]) -> Result<(), Trouble> {
    let prices = batch::prices(rows);
    if prices.is_empty() {
        return Ok(());
    }
    let told = prices.iter().map(|price| (&*price.id, &*price.json));
    let (ids, figures): (Vec<_>, Vec<_>) = told.unzip();
    client
        .query_typed(
            "INSERT INTO prices (id, json) SELECT * FROM unnest($1, $2) ON CONFLICT (id) DO NOTHING",
            &[(&ids, Type::TEXT_ARRAY), (&figures, Type::TEXT_ARRAY)],
        )
        .await?;
    Ok(())
}

async fn note_all(client: &Client, notes: &[Note]) -> Result<usize, Trouble> {
    for note in notes {
        let (sql, cells) = note.statement();
        let parameters = cells.iter().map(|cell| -> (&(dyn ToSql + Sync), Type) {
            match cell {
                Cell::Id(id) => (id, Type::UUID),
                Cell::Int(int) => (int, Type::INT8),
                Cell::Text(text) => (text, Type::TEXT),
                Cell::Bool(bool) => (bool, Type::BOOL),
            }
        });
        let parameters: Vec<_> = parameters.collect();
        client.query_typed(sql, &parameters).await?;
    }
    Ok(notes.len())
}

async fn refuse(client: &Client, row: &Row<'_>, why: &str) -> Result<usize, Trouble> {
    let json = cells::json(row).to_string();
    client
        .query_typed(
            "INSERT INTO refused (id, time_ms, team, why, json) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (id) DO NOTHING",
            &[
                (&row.id, Type::UUID),
                (&row.time_ms, Type::INT8),
                (&row.team, Type::TEXT),
                (&why, Type::TEXT),
                (&json, Type::TEXT),
            ],
        )
        .await?;
    Ok(1)
}

async fn prune(client: &Client, before_ms: i64, rows_max: usize) -> Result<usize, Trouble> {
    let limit = i64::try_from(rows_max).unwrap_or(i64::MAX);
    // Replicas delete beside each other, each its own rows.
    let deleted = client
        .query_typed(
            "DELETE FROM attempts WHERE (time_ms, id) IN (SELECT time_ms, id FROM attempts WHERE time_ms < $1
             ORDER BY time_ms LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING 1",
            &[(&before_ms, Type::INT8), (&limit, Type::INT8)],
        )
        .await?
        .len();
    if deleted > 0 {
        note(client, "pruned_before_ms", before_ms).await?;
    }
    Ok(deleted)
}

async fn prune_portions(
    client: &Client,
    before_ms: i64,
    rows_max: usize,
) -> Result<usize, Trouble> {
    let limit = i64::try_from(rows_max).unwrap_or(i64::MAX);
    let sql = format!("{} RETURNING 1", portions::PRUNE);
    let parameters: [(&(dyn ToSql + Sync), Type); 2] =
        [(&before_ms, Type::INT8), (&limit, Type::INT8)];
    Ok(client.query_typed(&sql, &parameters).await?.len())
}

/// Brings the tables up to date.
async fn migrate(
    client: &Client,
    migrations: &[fn() -> String],
    place: &str,
) -> Result<usize, Trouble> {
    let known = migrations.len() as i64;
    let mut version = version(client).await?;
    if version != Some(known) {
        let lock = [(&MIGRATION_LOCK as &(dyn ToSql + Sync), Type::INT8)];
        client
            .query_typed("SELECT pg_advisory_xact_lock($1)", &lock)
            .await?;
        // Another replica may have made them while this one waited.
        version = self::version(client).await?;
    }
    if let Some(newer) = version.filter(|version| *version > known) {
        return Err(LedgerError::newer(place, newer).into());
    }
    if version.is_none() {
        create(client).await?;
    }
    let done = usize::try_from(version.unwrap_or(0)).unwrap_or(0);
    for (index, migration) in migrations.iter().enumerate().skip(done) {
        client.batch_execute(&in_postgres(&migration())).await?;
        let applied: [(&(dyn ToSql + Sync), Type); 2] = [
            (&(index as i64 + 1), Type::INT8),
            (&schema::now_ms(), Type::INT8),
        ];
        let sql = "INSERT INTO schema_migrations (version, applied_ms) VALUES ($1, $2)";
        client.query_typed(sql, &applied).await?;
    }
    // The start writes something in any case: a server that is read-only shows now.
    note(client, "opened_ms", schema::now_ms()).await?;
    Ok(migrations.len() - done)
}

/// The schema for our tables, and the table of versions.
async fn create(client: &Client) -> Result<(), Trouble> {
    let sql = "SELECT 1 FROM pg_namespace WHERE nspname = 'tollgate'";
    // `IF NOT EXISTS` would ask for the right to create one even where somebody made it for us.
    if client.query_typed(sql, &[]).await?.is_empty() {
        client.batch_execute("CREATE SCHEMA tollgate").await?;
    }
    client
        .batch_execute(
            "CREATE TABLE schema_migrations (version BIGINT NOT NULL PRIMARY KEY, applied_ms BIGINT NOT NULL)",
        )
        .await?;
    Ok(())
}

/// The version of the tables, None where there are none.
pub(super) async fn version(client: &Client) -> Result<Option<i64>, tokio_postgres::Error> {
    let sql = "SELECT 1 WHERE to_regclass('tollgate.schema_migrations') IS NOT NULL";
    if client.query_typed(sql, &[]).await?.is_empty() {
        return Ok(None);
    }
    let sql = "SELECT coalesce(max(version), 0) FROM tollgate.schema_migrations";
    let row = client.query_typed_one(sql, &[]).await?;
    row.try_get(0).map(Some)
}

/// A migration in Postgres's words.
fn in_postgres(migration: &str) -> String {
    let usd = |amount: &str| {
        format!("({amount}_micro::numeric * 1000000 + {amount}_pico) / 1000000000000")
    };
    let words = [
        ("{rest}", String::new()),
        ("{int}", "BIGINT".to_owned()),
        (
            "{random}",
            "floor(random() * 9007199254740991)::bigint".to_owned(),
        ),
        ("{text}", "TEXT".to_owned()),
        ("{uuid}", "UUID".to_owned()),
        ("{bool}", "BOOLEAN".to_owned()),
        ("{false}", "FALSE".to_owned()),
        ("{tail}", String::new()),
        ("{rows_tail}", String::new()),
        ("{given}", "NOT NULL".to_owned()),
        ("{date}", "DATE '1970-01-01' + day::integer".to_owned()),
        ("{time}", "to_timestamp(time_ms / 1000.0)".to_owned()),
        ("{usd cost}", usd("cost")),
        ("{usd savings}", usd("savings")),
    ];
    let replace = |text: String, (word, by): &(&str, String)| text.replace(word, by);
    words.iter().fold(migration.to_owned(), replace)
}

/// Notes a number that only grows.
async fn note(client: &Client, name: &str, value: i64) -> Result<(), Trouble> {
    client
        .query_typed(
            "INSERT INTO meta (name, value) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET value = greatest(meta.value, excluded.value)",
            &[(&name, Type::TEXT), (&value, Type::INT8)],
        )
        .await?;
    Ok(())
}

/// What went wrong within a transaction: the server's word, or ours.
enum Trouble {
    Server(tokio_postgres::Error),
    Ours(LedgerError),
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error)
    }
}

impl From<LedgerError> for Trouble {
    fn from(error: LedgerError) -> Self {
        Self::Ours(error)
    }
}
