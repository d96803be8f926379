//! Crews: stopping, draining under a deadline, panics, and what is told of them.

use std::time::Duration;

use supervise::{Crew, Ending, Panics};
use tokio::time::{Instant, sleep};

const DEADLINE: Duration = Duration::from_secs(30);

fn paused(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    runtime.expect("a runtime").block_on(test);
}

#[test]
fn a_drain_ends_as_soon_as_the_last_task_has() {
    paused(async {
        let mut crew = Crew::new("test");
        crew.spawn("quick", |mut stop| async move { stop.asked().await });
        crew.spawn("slow", |mut stop| async move {
            stop.asked().await;
            sleep(Duration::from_secs(3)).await;
        });
        let started = Instant::now();
        let report = crew.drain(DEADLINE).await;
        assert_eq!(started.elapsed(), Duration::from_secs(3));
        assert_eq!(report.finished, 2);
        assert!(report.is_clean());
        assert_eq!(report.to_string(), "2 finished");
    });
}

#[test]
fn whoever_does_not_finish_is_aborted_at_the_deadline_and_named() {
    paused(async {
        let mut crew = Crew::new("test");
        crew.spawn("deaf b", |_| std::future::pending());
        crew.spawn("deaf a", |_| std::future::pending());
        crew.spawn("good", |mut stop| async move { stop.asked().await });
        let started = Instant::now();
        let report = crew.drain(DEADLINE).await;
        assert_eq!(started.elapsed(), DEADLINE);
        assert_eq!(report.finished, 1);
        assert_eq!(report.aborted, ["deaf a", "deaf b"]);
        assert_eq!(
            report.to_string(),
            "1 finished; aborted at the deadline: deaf a, deaf b"
        );
    });
}

#[test]
fn a_panic_ends_its_own_task_alone_and_is_counted() {
    paused(async {
        let panics = Panics::default();
        let mut crew = Crew::counting("test", panics.clone());
        crew.spawn("other", |mut stop| async move { stop.asked().await });
        crew.spawn("broken", |_| async { panic!("on purpose") });
        assert_eq!(
            crew.next_end().await,
            Some(("broken".to_owned(), Ending::Panicked))
        );
        assert_eq!(panics.count(), 1);
        assert_eq!(crew.len(), 1);
        crew.spawn("late", |mut stop| async move {
            stop.asked().await;
            panic!("on purpose, while draining");
        });
        let report = crew.drain(DEADLINE).await;
        assert_eq!(report.finished, 1);
        assert_eq!(report.panicked, ["late"]);
        assert_eq!(panics.count(), 2);
    });
}

#[test]
fn short_tasks_do_not_pile_up() {
    paused(async {
        let mut crew = Crew::new("test");
        for number in 0..1_000 {
            crew.spawn(format!("short {number}"), |_| async {});
            tokio::task::yield_now().await;
        }
        assert!(crew.len() < 10, "{}", crew.len());
    });
}

#[test]
fn a_stop_is_seen_by_those_who_look_late_and_by_orphans() {
    paused(async {
        let crew = Crew::new("test");
        let mut early = crew.stop();
        assert!(!early.is_asked());
        assert_eq!(early.or(async { 7 }).await, Some(7));
        crew.ask();
        assert!(early.is_asked());
        assert_eq!(early.or(async { 7 }).await, None);
        let mut late = crew.stop();
        late.asked().await;

        let other = Crew::new("gone");
        let mut orphan = other.stop();
        drop(other);
        assert!(orphan.is_asked());
        orphan.asked().await;
    });
}

#[test]
fn a_crew_that_is_dropped_takes_its_tasks_along() {
    paused(async {
        let (alive, mut gone) = tokio::sync::oneshot::channel::<()>();
        let mut crew = Crew::new("test");
        crew.spawn("holder", |_| async move {
            std::future::pending::<()>().await;
            drop(alive);
        });
        tokio::task::yield_now().await;
        assert!(gone.try_recv().is_err());
        drop(crew);
        assert!(gone.await.is_err());
    });
}

#[test]
fn tasks_that_stay_on_their_thread_are_owned_too() {
    paused(async {
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let mut crew = Crew::new("test");
                let shared = std::rc::Rc::new(());
                crew.spawn_local("local", |mut stop| async move {
                    stop.asked().await;
                    drop(shared);
                });
                assert_eq!(crew.drain(DEADLINE).await.finished, 1);
            })
            .await;
    });
}

#[test]
fn an_empty_crew_drains_at_once() {
    paused(async {
        let crew = Crew::new("test");
        assert!(crew.is_empty());
        assert!(crew.drain(DEADLINE).await.is_clean());
    });
}
