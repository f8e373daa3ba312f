//! The calls over gRPC, with the health of the node and what reflection tells of them.
//!
//! The interface is `proto/phi/enforce/v1/enforce.proto`. Calls do what those of HTTP do: both hand
//! them to [`Service`], which decides everything.

mod answers;
mod health;
mod status;
pub mod v1;

use std::sync::Arc;

use axum::Router;
use tonic::{Request, Response, server::NamedService};
use tonic_health::pb::health_server::HealthServer;

use self::{
    health::Health,
    status::status,
    v1::enforcement_server::{Enforcement, EnforcementServer},
};
use crate::{
    clients::Client,
    intake::MAX_INTAKE,
    service::{Borrow, Claim, Service, Take},
};

/// The largest message: signed bytes, and the few around them.
const MAX_MESSAGE: usize = MAX_INTAKE + 64;

/// The routes of gRPC, to be merged with those of HTTP behind the [`Entry`](crate::entry::Entry).
pub fn routes(service: &Arc<Service>) -> Router {
    let calls = Calls(Arc::clone(service));
    let calls = EnforcementServer::new(calls).max_decoding_message_size(MAX_MESSAGE);
    let health = HealthServer::new(Health::of(service));
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(v1::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the descriptors are those that the code was made of");
    let routes = Router::new().route_service(&path_of(&calls), calls);
    let routes = routes.route_service(&path_of(&health), health);
    routes.route_service(&path_of(&reflection), reflection)
}

fn path_of<S: NamedService>(_: &S) -> String {
    format!("/{}/{{*call}}", S::NAME)
}

/// The service, called over gRPC.
#[derive(Clone, Debug)]
struct Calls(Arc<Service>);

type Answer<T> = Result<Response<T>, tonic::Status>;

/// The client, and what it asks for.
fn asked<T>(request: Request<T>) -> Result<(Client, T), tonic::Status> {
    let client = request.extensions().get::<Client>().cloned();
    // Every request comes through the entry; one that did not is nobody's.
    let client = client.ok_or_else(|| tonic::Status::unauthenticated("there is no client"))?;
    Ok((client, request.into_inner()))
}

#[tonic::async_trait]
impl Enforcement for Calls {
    async fn check(&self, request: Request<v1::CheckRequest>) -> Answer<v1::CheckResponse> {
        let (client, asked) = asked(request)?;
        let checked = self.0.check(&client, asked.license.as_deref(), &asked.flag);
        Ok(Response::new(checked.map_err(status)?.into()))
    }

    async fn take(&self, request: Request<v1::TakeRequest>) -> Answer<v1::TakeResponse> {
        let (client, asked) = asked(request)?;
        let taken = self.0.take(&client, &Take::from(asked)).await;
        let taken = taken.map_err(status)?;
        let mut response = Response::new(taken.answer.into());
        if let Some(limit) = taken.limit {
            status::append(response.metadata_mut(), |headers| limit.append_to(headers));
        }
        Ok(response)
    }

    async fn claim(&self, request: Request<v1::ClaimRequest>) -> Answer<v1::ClaimResponse> {
        let (client, asked) = asked(request)?;
        let claim = Claim::from(asked);
        let seat = self.0.claim(&client, &claim).await.map_err(status)?;
        let seat = Some(seat.into());
        Ok(Response::new(v1::ClaimResponse { seat }))
    }

    async fn renew(&self, request: Request<v1::RenewRequest>) -> Answer<v1::RenewResponse> {
        let (client, asked) = asked(request)?;
        let seat = self.0.renew(&client, &asked.seat).map_err(status)?;
        let seat = Some(seat.into());
        Ok(Response::new(v1::RenewResponse { seat }))
    }

    async fn release(&self, request: Request<v1::ReleaseRequest>) -> Answer<v1::ReleaseResponse> {
        let (client, asked) = asked(request)?;
        self.0.release(&client, &asked.seat).map_err(status)?;
        Ok(Response::new(v1::ReleaseResponse {}))
    }

    async fn borrow(&self, request: Request<v1::BorrowRequest>) -> Answer<v1::BorrowResponse> {
        let (client, asked) = asked(request)?;
        let lent = self.0.borrow(&client, &Borrow::from(asked)).await;
        Ok(Response::new(lent.map_err(status)?.into()))
    }

    async fn hand_back(
        &self,
        request: Request<v1::HandBackRequest>,
    ) -> Answer<v1::HandBackResponse> {
        let (client, asked) = asked(request)?;
        let back = self.0.hand_back(&client, &asked.document).await;
        back.map_err(status)?;
        Ok(Response::new(v1::HandBackResponse {}))
    }

    async fn list_seats(
        &self,
        request: Request<v1::ListSeatsRequest>,
    ) -> Answer<v1::ListSeatsResponse> {
        let (client, asked) = asked(request)?;
        let seats = self
            .0
            .seats(&client, asked.license.as_deref(), &asked.limit);
        let seats = seats.await.map_err(status)?;
        let seats = seats.into_iter().map(Into::into).collect();
        Ok(Response::new(v1::ListSeatsResponse { seats }))
    }

    async fn list_licenses(
        &self,
        request: Request<v1::ListLicensesRequest>,
    ) -> Answer<v1::ListLicensesResponse> {
        let (client, _) = asked(request)?;
        let licenses = self.0.licenses(&client).map_err(status)?;
        Ok(Response::new(licenses.into()))
    }

    async fn get_license(
        &self,
        request: Request<v1::GetLicenseRequest>,
    ) -> Answer<v1::GetLicenseResponse> {
        let (client, asked) = asked(request)?;
        let license = self.0.license(&client, &asked.license).map_err(status)?;
        let license = Some(license.into());
        Ok(Response::new(v1::GetLicenseResponse { license }))
    }

    async fn import_document(
        &self,
        request: Request<v1::ImportDocumentRequest>,
    ) -> Answer<v1::ImportDocumentResponse> {
        let (client, asked) = asked(request)?;
        let report = self
            .0
            .import(&client, asked.document)
            .await
            .map_err(status)?;
        Ok(Response::new(report.into()))
    }

    async fn get_usage(
        &self,
        request: Request<v1::GetUsageRequest>,
    ) -> Answer<v1::GetUsageResponse> {
        let (client, _) = asked(request)?;
        let usage = self.0.usage(&client).await.map_err(status)?;
        Ok(Response::new(usage.into()))
    }

    async fn get_usage_report(
        &self,
        request: Request<v1::GetUsageReportRequest>,
    ) -> Answer<v1::GetUsageReportResponse> {
        let (client, span) = asked(request)?;
        let report = self.0.usage_report(&client, &span.from, span.to.as_deref());
        let report = report.await.map_err(status)?;
        let report = serde_json::to_string(&report);
        let report = report.map_err(|error| tonic::Status::internal(error.to_string()))?;
        Ok(Response::new(v1::GetUsageReportResponse { report }))
    }
}
