mod allocate;
mod change;
mod forward;
mod limits;
mod sequences;
mod strangers;
mod weaknesses;
