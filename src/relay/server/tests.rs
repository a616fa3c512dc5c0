mod allocate;
mod change;
mod forward;
mod sequences;
mod strangers;
