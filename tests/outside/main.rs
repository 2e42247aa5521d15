//! Tests of the program from outside: the real binary between real sockets.

// The instruments, and the tests of them
mod certificates;
mod faulty;
mod harness;
mod http2;
mod instruments;
mod mischief;
mod misdeeds;
mod postgres;
mod raw;
mod replay;
mod shared_limits;
mod sse;
mod upstream;

// What passes through
mod azure;
mod bodies;
mod embeddings;
mod envelopes;
mod headers;
mod keys;
mod own_dialect;
mod pairs;
mod passthrough;
mod protocols;
mod recordings;
mod several_keys;
mod stored;
mod tls;
mod tool_names;
mod upstream_tls;

// What goes wrong
mod callers;
mod chains;
mod chaos;
mod continued;
mod faults;
mod leaving;
mod ledger;
mod repetitions;
mod reuse;

// What is admitted
mod allowances;
mod budgets;
mod limits;

// What it costs
mod spend;

// How it is run
mod check;
mod drain;
mod operations;
mod quickstart;
mod reload;
mod route;
mod state;
mod targets;
