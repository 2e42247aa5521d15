use crate::dialect::common as _;
