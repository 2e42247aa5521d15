mod alert;
mod section;
