mod adjust;
mod alert;
mod purse;
mod section;
