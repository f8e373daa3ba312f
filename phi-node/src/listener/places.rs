//! Places for connections: so many in all, and so many for one address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Clone, Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
    most_each: usize,
}

/// A place that is free, for whoever comes next.
pub(super) struct FreePlace {
    permit: OwnedSemaphorePermit,
    places: Places,
}

/// A place that somebody has, until it is dropped.
pub(super) struct Place {
    address: IpAddr,
    places: Places,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(most: usize, most_each: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            by_address: Arc::default(),
            most_each,
        }
    }

    /// Waits until there is a place.
    pub(super) async fn any(&self) -> FreePlace {
        let permit = Arc::clone(&self.all).acquire_owned().await;
        FreePlace {
            permit: permit.expect("nobody closes the semaphore"),
            places: self.clone(),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut HashMap<IpAddr, usize>) -> T) -> T {
        // The counts are whole between two changes, whoever panicked.
        change(
            &mut self
                .by_address
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

impl FreePlace {
    /// Takes the place for a connection from this address, if it has not too many.
    pub(super) fn at(self, address: IpAddr) -> Option<Place> {
        let address = origin(address);
        let most = self.places.most_each;
        let taken = self.places.change(|counts| {
            let count = counts.entry(address).or_default();
            let free = *count < most;
            *count += usize::from(free);
            free
        });
        taken.then_some(Place {
            address,
            places: self.places,
            _permit: self.permit,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.change(|counts| {
            if let Some(count) = counts.get_mut(&self.address) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&self.address);
                }
            }
        });
    }
}

/// Whom an address is counted for. A machine with IPv6 has a network of 64 bits to itself.
fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            Ipv6Addr::from(network).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[tokio::test]
    async fn places_are_counted_in_all_and_by_address() {
        let places = Places::new(3, 2);
        let take = async |address: &str| places.any().await.at(address.parse().unwrap());
        let first = take("10.0.0.1").await.unwrap();
        let _second = take("::ffff:10.0.0.1").await.unwrap();
        assert!(take("10.0.0.1").await.is_none());
        let _third = take("10.0.0.2").await.unwrap();
        let mut waiting = pin!(places.any());
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        drop(first);
        let Poll::Ready(free) = waiting.as_mut().poll(&mut context) else {
            panic!("a place is free");
        };
        assert!(free.at("10.0.0.1".parse().unwrap()).is_some());
    }

    #[tokio::test]
    async fn a_network_of_ipv6_is_one_origin() {
        let places = Places::new(9, 1);
        let take = async |address: &str| places.any().await.at(address.parse().unwrap());
        let _one = take("2001:db8::1").await.unwrap();
        assert!(take("2001:db8::2").await.is_none());
        assert!(take("2001:db8:0:1::1").await.is_some());
    }

    #[tokio::test]
    async fn addresses_without_connections_are_forgotten() {
        let places = Places::new(9, 1);
        for number in 0..100 {
            let address = IpAddr::from([10, 0, 0, number]);
            drop(places.any().await.at(address).unwrap());
        }
        assert!(places.change(|counts| counts.is_empty()));
    }
}
