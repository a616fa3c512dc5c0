//! Connections that nobody has vouched for yet. There is room for so many; for one more, the oldest goes.

use std::{
    collections::{BTreeMap, btree_map::OccupiedEntry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::task::{AbortHandle, JoinHandle};

pub(super) struct Strangers {
    most: usize,
    room: Mutex<Room>,
}

#[derive(Default)]
struct Room {
    /// By order of arrival; `None` while the task is being started.
    tasks: BTreeMap<u64, Option<AbortHandle>>,
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
        let (number, oldest) = {
            let mut room = self.room();
            let number = room.next;
            room.next += 1;
            let is_full = room.tasks.len() >= self.most;
            // Those that are being started are none of the oldest, but for a room of next to none.
            let oldest = if is_full { room.tasks.first_entry().filter(|it| it.get().is_some()) } else { None };
            let oldest = oldest.and_then(OccupiedEntry::remove);
            room.tasks.insert(number, None);
            (number, oldest)
        };
        if let Some(oldest) = oldest {
            oldest.abort();
        }
        // Not under the lock: where the runtime is about to end, the task ends here, and gives its seat back.
        let task = start(Seat { strangers: Arc::clone(self), number }).abort_handle();
        // Where there is no place any more, it is no stranger already, or gone.
        if let Some(place) = self.room().tasks.get_mut(&number) {
            *place = Some(task);
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

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_is_known_before_he_is_noted_stays() {
        let strangers = Arc::new(Strangers::new(1));
        for _ in 0..100 {
            let (known, is_known) = std::sync::mpsc::channel();
            let (stayed, has_stayed) = oneshot::channel();
            strangers.admit(|seat| {
                let task = tokio::spawn(async move {
                    drop(seat);
                    known.send(()).unwrap();
                    tokio::task::yield_now().await;
                    stayed.send(()).unwrap();
                });
                is_known.recv().unwrap();
                task
            });
            assert_eq!(has_stayed.await, Ok(()));
        }
        assert!(strangers.room().tasks.is_empty());
    }

    #[test]
    fn whoever_comes_while_the_runtime_ends_holds_nothing_up() {
        let strangers = Arc::new(Strangers::new(2));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let handle = runtime.handle().clone();
        drop(runtime);
        strangers.admit(|seat| handle.spawn(async move { drop(seat) }));
        assert!(strangers.room().tasks.is_empty());
    }
}
