//! Connections that nobody has vouched for yet. There is room for so many; for one more, the oldest goes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::task::{AbortHandle, JoinHandle};

pub(super) struct Strangers {
    most: usize,
    room: Mutex<Room>,
}

#[derive(Default)]
struct Room {
    /// By order of arrival.
    tasks: BTreeMap<u64, AbortHandle>,
    next: u64,
}

/// A stranger's place. Dropped when it is none any more, or gone.
pub(super) struct Seat {
    strangers: Arc<Strangers>,
    number: u64,
}

impl Strangers {
    pub fn new(most: usize) -> Self {
        Self { most, room: Mutex::default() }
    }

    /// Has a task started for a new connection, with a seat for as long as it is a stranger's.
    pub fn admit(self: &Arc<Self>, start: impl FnOnce(Seat) -> JoinHandle<()>) {
        let oldest = {
            // Held until the task is noted, so that its seat is given back after that and not before.
            let mut room = self.room();
            let number = room.next;
            room.next += 1;
            let oldest = if room.tasks.len() >= self.most { room.tasks.pop_first() } else { None };
            let task = start(Seat { strangers: Arc::clone(self), number });
            room.tasks.insert(number, task.abort_handle());
            oldest
        };
        if let Some((_, oldest)) = oldest {
            oldest.abort();
        }
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.strangers.room().tasks.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn the_oldest_goes_when_one_too_many_comes() {
        let strangers = Arc::new(Strangers::new(2));
        let mut guests = Vec::new();
        for _ in 0..4 {
            let (leave, left) = oneshot::channel::<()>();
            let (gone, is_gone) = oneshot::channel::<()>();
            strangers.admit(|seat| {
                tokio::spawn(async move {
                    let _gone = gone;
                    let _ = left.await;
                    drop(seat);
                })
            });
            guests.push((Some(leave), is_gone));
        }
        for (_, is_gone) in &mut guests[..2] {
            assert!(is_gone.await.is_err());
        }
        assert_eq!(strangers.room().tasks.len(), 2);
        for (leave, is_gone) in &mut guests[2..] {
            assert_eq!(is_gone.try_recv(), Err(oneshot::error::TryRecvError::Empty));
            leave.take();
            assert!(is_gone.await.is_err());
        }
        assert!(strangers.room().tasks.is_empty());
    }

    #[tokio::test]
    async fn who_is_no_stranger_any_more_is_not_thrown_out() {
        let strangers = Arc::new(Strangers::new(1));
        let (known, is_known) = oneshot::channel();
        let (leave, left) = oneshot::channel::<()>();
        let (stayed, has_stayed) = oneshot::channel();
        strangers.admit(|seat| {
            tokio::spawn(async move {
                drop(seat);
                let _ = known.send(());
                let _ = left.await;
                let _ = stayed.send(());
            })
        });
        is_known.await.unwrap();
        strangers.admit(|seat| tokio::spawn(async move { drop(seat) }));
        leave.send(()).unwrap();
        assert_eq!(has_stayed.await, Ok(()));
    }
}
