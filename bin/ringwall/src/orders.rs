//! From what was typed to what `app` is asked, where that takes more than a line.

use app::hub::{How, Order, Tuned};

use crate::args::{self, Hub};

/// `ringwall hub …`.
pub(crate) fn hub(order: Hub) -> Order {
    match order {
        Hub::List { all } => Order::List { all },
        Hub::Search { words } => Order::Search { words },
        Hub::Install { names, how } => Order::Install {
            names,
            how: self::how(how, false),
        },
        Hub::Update { names, force, how } => Order::Update {
            names,
            how: self::how(how, force),
        },
        Hub::Remove { names, dry_run } => Order::Remove {
            names,
            how: How {
                dry_run,
                ..How::default()
            },
        },
        Hub::Rollback { set, list } => Order::Rollback { to: set, list },
        Hub::Tune(tune) => tuned(tune),
    }
}

fn how(how: args::How, force: bool) -> How {
    How {
        data: how.data,
        mmdb: how.mmdb,
        force,
        dry_run: how.dry_run,
    }
}

fn tuned(tune: args::Tune) -> Order {
    let either = |yes: bool, no: bool| if yes == no { None } else { Some(yes) };
    Order::Tune {
        name: tune.name,
        change: Tuned {
            capacity: tune.capacity,
            leakspeed: tune.leakspeed,
            blackhole: tune.blackhole,
            sites: tune.sites,
            on: either(tune.on, tune.off),
            simulate: either(tune.simulate, tune.enforce),
            reset: tune.reset,
        },
    }
}
