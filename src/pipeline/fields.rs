//! Names of header fields that every request meets: parsed once, when the program is compiled.

use http::HeaderName;

macro_rules! fields {
    ($($name:ident = $text:literal;)*) => {
        $(pub static $name: HeaderName = HeaderName::from_static($text);)*
    };
}

fields! {
    ANTHROPIC_VERSION = "anthropic-version";
    API_KEY = "api-key";
    X_API_KEY = "x-api-key";
    X_ATTEMPTS = "x-tollgate-attempts";
    X_CACHE = "x-tollgate-cache";
    X_AMZN_ERRORTYPE = "x-amzn-errortype";
    X_COST = "x-tollgate-cost-usd";
    X_COST_WHERE = "x-tollgate-cost";
    X_DROPPED = "x-tollgate-dropped";
    X_ESTIMATED = "x-tollgate-estimated";
    X_GOOG_API_KEY = "x-goog-api-key";
    X_MODEL = "x-tollgate-model";
    X_REQUEST_ID = "x-request-id";
    X_ROUTE = "x-tollgate-route";
    X_SHOULD_RETRY = "x-should-retry";
    X_TIMEOUT = "x-tollgate-timeout";
    X_UPSTREAM_REQUEST_ID = "x-upstream-request-id";
}
