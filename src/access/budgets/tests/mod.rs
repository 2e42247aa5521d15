mod adjust;
mod alert;
mod section;
