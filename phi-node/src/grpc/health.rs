//! The health of the node as gRPC asks for it: what `/readyz` says, at the moment it is asked.

use std::{
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
    time::Duration,
};

use phi_enforce::Refusal;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tonic::{Request, Response, Status, codegen::tokio_stream::Stream, server::NamedService as _};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server,
};

use super::{Calls, v1::enforcement_server::EnforcementServer};
use crate::service::Service;

/// Who watches is told of a change this much later at the most.
const LOOK: Duration = Duration::from_millis(250);

/// Answers about the node as a whole, and about its one service by name.
#[derive(Clone, Debug)]
pub(super) struct Health(Weak<Service>);

impl Health {
    pub(super) fn of(service: &Arc<Service>) -> Self {
        Self(Arc::downgrade(service))
    }

    fn is(&self, named: &str) -> ServingStatus {
        if !named.is_empty() && named != EnforcementServer::<Calls>::NAME {
            return ServingStatus::ServiceUnknown;
        }
        match self.0.upgrade() {
            Some(service) if service.ready().ready => ServingStatus::Serving,
            _ => ServingStatus::NotServing,
        }
    }

    /// Whether nothing that is said from here on could be good news.
    fn is_stopping(&self) -> bool {
        let stopping = Refusal::Stopping.code();
        self.0.upgrade().is_none_or(|service| {
            let reasons = service.ready().reasons;
            reasons.iter().any(|reason| reason.code == stopping)
        })
    }
}

#[tonic::async_trait]
impl health_server::Health for Health {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match self.is(&request.get_ref().service) {
            ServingStatus::ServiceUnknown => Err(Status::not_found("there is no such service")),
            status => Ok(Response::new(answer(status))),
        }
    }

    type WatchStream = Watching;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Watching>, Status> {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Response::new(Watching {
            health: self.clone(),
            named: request.into_inner().service,
            looks,
            told: None,
            is: Going::On,
        }))
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    let mut answer = HealthCheckResponse::default();
    answer.set_status(status);
    answer
}

/// The changes of the node's health. It ends when the node stops, so that the connection can.
#[derive(Debug)]
pub(super) struct Watching {
    health: Health,
    named: String,
    looks: Interval,
    told: Option<ServingStatus>,
    is: Going,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Going {
    On,
    ToItsEnd,
}

impl Stream for Watching {
    type Item = Result<HealthCheckResponse, Status>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<HealthCheckResponse, Status>>> {
        while self.is == Going::On {
            ready!(self.looks.poll_tick(context));
            if self.health.is_stopping() {
                self.is = Going::ToItsEnd;
            }
            let status = self.health.is(&self.named);
            if self.told.replace(status) != Some(status) {
                return Poll::Ready(Some(Ok(answer(status))));
            }
        }
        Poll::Ready(None)
    }
}
