//! The one table of routes. Router, OpenAPI document and coverage tests are all made from it.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use chancery_model::permission::Permission;
use http::{Method, StatusCode};
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, ToSchema};

use crate::error::ApiError;
use crate::extract::BODY_MAX;
use crate::gate::{self, Gate};
use crate::observe::observe;
use crate::state::ApiState;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody, at a limited rate.
    Public,
    /// Whoever has the permission in the project of the token.
    Permission(Permission),
}

/// One route, as tests and documents see it.
#[derive(Clone, Debug)]
pub struct RouteInfo {
    pub method: Method,
    /// With parameters in braces, such as `/api/v1/cert-manager/certificates/{id}`.
    pub path: &'static str,
    pub access: Access,
    /// Whether a successful call changes something, and so leaves an audit entry.
    pub mutates: bool,
}

/// All routes, in the order of the table.
#[must_use]
pub fn routes() -> &'static [RouteInfo] {
    static ROUTES: LazyLock<Vec<RouteInfo>> = LazyLock::new(|| {
        let info = |it: Endpoint| RouteInfo {
            method: it.method,
            path: it.path.leak(),
            access: it.access,
            mutates: it.mutates,
        };
        endpoints().into_iter().map(info).collect()
    });
    &ROUTES
}

/// The door: every route with and without a trailing slash, behind its gate.
pub fn router(state: ApiState) -> Router {
    let mut router = Router::new();
    for endpoint in endpoints() {
        let slashed = format!("{}/", endpoint.path);
        let path = endpoint.path.clone();
        let gated = gated(endpoint, &state);
        router = router.route(&path, gated.clone()).route(&slashed, gated);
    }
    router
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(state.clone(), observe))
        .with_state(state)
}

fn gated(endpoint: Endpoint, state: &ApiState) -> MethodRouter<ApiState> {
    match endpoint.access {
        Access::Public if endpoint.unlimited => endpoint.handler,
        Access::Public => endpoint.handler.route_layer(from_fn_with_state(state.clone(), gate::open)),
        Access::Permission(permission) => {
            let Endpoint { mutates, resumes, body_max, .. } = endpoint;
            let gate = Gate { state: state.clone(), permission, mutates, resumes, body_max };
            endpoint.handler.route_layer(from_fn_with_state(gate, gate::pass))
        }
    }
}

async fn unknown_route(request: Request) -> ApiError {
    // The reference answers with its framework's own body here; ours says the same in the common shape.
    let path: String = request.uri().path().chars().take(200).collect();
    ApiError::new(
        StatusCode::NOT_FOUND,
        "Not Found",
        "route.unknown",
        format!("Route {}:{path} not found", request.method()),
    )
}

async fn wrong_method(request: Request) -> ApiError {
    let message = format!("This path does not answer to {}", request.method());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "route.method", message)
}

/// Everything about one route.
pub(crate) struct Endpoint {
    pub method: Method,
    pub path: String,
    pub access: Access,
    pub mutates: bool,
    /// Not even rate limited: probes that must always be answered.
    unlimited: bool,
    resumes: bool,
    body_max: usize,
    handler: MethodRouter<ApiState>,
    /// Unique; the OpenAPI document's `operationId`.
    pub operation: String,
    pub summary: &'static str,
    pub tag: &'static str,
    pub deprecated: bool,
    pub body: Option<SchemaOf>,
    pub body_optional: bool,
    /// Media type and schema of the 200 answer.
    pub answer: (&'static str, Option<SchemaOf>),
    pub parameters: Vec<Parameter>,
}

pub(crate) type NamedSchemas = Vec<(String, RefOr<Schema>)>;

/// The schema of a type, adding what it refers to.
pub(crate) type SchemaOf = fn(&mut NamedSchemas) -> RefOr<Schema>;

fn schema_of<T: ToSchema>(schemas: &mut NamedSchemas) -> RefOr<Schema> {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
    RefOr::Ref(utoipa::openapi::Ref::from_schema_name(T::name()))
}

fn list_of<T: ToSchema>(schemas: &mut NamedSchemas) -> RefOr<Schema> {
    RefOr::T(Schema::Array(utoipa::openapi::schema::Array::new(schema_of::<T>(schemas))))
}

impl Endpoint {
    fn new<H, T>(method: Method, path: impl Into<String>, access: Access, handler: H) -> Self
    where
        H: Handler<T, ApiState>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
        Self {
            mutates: method != Method::GET,
            method,
            path: path.into(),
            access,
            unlimited: false,
            resumes: false,
            body_max: BODY_MAX,
            handler: on(filter, handler),
            operation: String::new(),
            summary: "",
            tag: "",
            deprecated: false,
            body: None,
            body_optional: false,
            answer: ("application/json", None),
            parameters: Vec::new(),
        }
    }

    pub fn get<H: Handler<T, ApiState>, T: 'static>(
        path: impl Into<String>,
        permission: Permission,
        handler: H,
    ) -> Self {
        Self::new(Method::GET, path, Access::Permission(permission), handler)
    }

    pub fn post<H: Handler<T, ApiState>, T: 'static>(
        path: impl Into<String>,
        permission: Permission,
        handler: H,
    ) -> Self {
        Self::new(Method::POST, path, Access::Permission(permission), handler)
    }

    pub fn put<H: Handler<T, ApiState>, T: 'static>(
        path: impl Into<String>,
        permission: Permission,
        handler: H,
    ) -> Self {
        Self::new(Method::PUT, path, Access::Permission(permission), handler)
    }

    pub fn patch<H: Handler<T, ApiState>, T: 'static>(
        path: impl Into<String>,
        permission: Permission,
        handler: H,
    ) -> Self {
        Self::new(Method::PATCH, path, Access::Permission(permission), handler)
    }

    pub fn delete<H: Handler<T, ApiState>, T: 'static>(
        path: impl Into<String>,
        permission: Permission,
        handler: H,
    ) -> Self {
        Self::new(Method::DELETE, path, Access::Permission(permission), handler)
    }

    pub fn public<H: Handler<T, ApiState>, T: 'static>(method: Method, path: impl Into<String>, handler: H) -> Self {
        Self::new(method, path, Access::Public, handler)
    }

    /// Operation id and one line for people.
    pub fn named(mut self, operation: impl Into<String>, summary: &'static str) -> Self {
        self.operation = operation.into();
        self.summary = summary;
        self
    }

    pub fn takes<T: ToSchema>(mut self) -> Self {
        self.body = Some(schema_of::<T>);
        self
    }

    pub fn may_take<T: ToSchema>(mut self) -> Self {
        self.body_optional = true;
        self.takes::<T>()
    }

    pub fn asks<T: IntoParams>(mut self) -> Self {
        self.parameters = T::into_params(|| Some(ParameterIn::Query));
        self
    }

    pub fn answers<T: ToSchema>(mut self) -> Self {
        self.answer.1 = Some(schema_of::<T>);
        self
    }

    pub fn answers_list<T: ToSchema>(mut self) -> Self {
        self.answer.1 = Some(list_of::<T>);
        self
    }

    /// An answer that is not JSON.
    pub fn answers_with(mut self, media_type: &'static str) -> Self {
        self.answer.0 = media_type;
        self
    }

    /// A POST that changes nothing.
    pub fn reads_only(mut self) -> Self {
        self.mutates = false;
        self
    }

    pub fn unlimited(mut self) -> Self {
        self.unlimited = true;
        self
    }

    /// The core itself finds an earlier try with the same idempotency key.
    pub fn resumes(mut self) -> Self {
        self.resumes = true;
        self
    }

    /// Takes larger bodies than others do, in octets.
    pub fn takes_up_to(mut self, octets: usize) -> Self {
        self.body_max = octets;
        self
    }

    pub fn deprecated(mut self) -> Self {
        self.deprecated = true;
        self
    }
}

/// The table: a part per noun.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    let parts: Vec<(&'static str, Vec<Endpoint>)> = vec![
        ("Status", crate::status::endpoints()),
        ("Authentication", crate::auth::endpoints()),
        ("Identities", crate::identity::endpoints()),
        ("Identities", crate::universal_auth::endpoints()),
        ("People", crate::user::endpoints()),
        ("Projects", crate::project::endpoints()),
        ("Certification authorities", crate::authority::endpoints()),
        ("Certification authorities", crate::authority_certificate::endpoints()),
        ("Certification authorities", crate::authority_lifecycle::endpoints()),
        ("Certification authorities", crate::authority_signing::endpoints()),
        ("Certification authorities", crate::external::endpoints()),
        ("App connections", crate::connection::endpoints()),
        ("Certificate templates", crate::template::endpoints()),
        ("Certificate templates", crate::rehearsal::endpoints()),
        ("Certificate profiles", crate::profile::endpoints()),
        ("Certificates", crate::issue::endpoints()),
        ("Certificates", crate::certificate::endpoints()),
        ("Certificates", crate::export::endpoints()),
        ("Certificates", crate::import::endpoints()),
        ("Inventory", crate::inventory::endpoints()),
        ("Inventory", crate::saved_view::endpoints()),
        ("Certificates", crate::revocation::endpoints()),
        ("Renewals", crate::renewal::endpoints()),
        ("Certificate requests", crate::request::endpoints()),
        ("Access", crate::access::endpoints()),
        ("Applications", crate::application::endpoints()),
        ("Applications", crate::application_enrollment::endpoints()),
        ("Applications", crate::application_member::endpoints()),
        ("Alerts", crate::alert::endpoints()),
        ("Audit log", crate::audit::endpoints()),
    ];
    let tagged = |(tag, part): (&'static str, Vec<Endpoint>)| part.into_iter().map(move |it| Endpoint { tag, ..it });
    parts.into_iter().flat_map(tagged).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_route_is_named_once_and_says_what_it_does() {
        let mut operations = HashSet::new();
        let mut paths = HashSet::new();
        for endpoint in endpoints() {
            let path = format!("{} {}", endpoint.method, endpoint.path);
            assert!(!endpoint.operation.is_empty() && !endpoint.summary.is_empty(), "{path}");
            assert!(operations.insert(endpoint.operation.clone()), "{} is used twice", endpoint.operation);
            assert!(paths.insert(path.clone()), "{path} is there twice");
            assert!(!endpoint.path.ends_with('/'), "{path}");
        }
    }

    #[test]
    fn only_these_routes_are_public() {
        let public: Vec<_> = routes()
            .iter()
            .filter(|it| it.access == Access::Public)
            .map(|it| format!("{} {}", it.method, it.path))
            .collect();
        assert_eq!(
            public,
            [
                "GET /api/status",
                "GET /healthz",
                "GET /readyz",
                "GET /metrics",
                "GET /api/openapi.json",
                "POST /api/v1/auth/universal-auth/login",
                "POST /api/v1/auth/login",
                "POST /api/v1/auth/token/renew",
                "POST /api/v1/auth/token/revoke",
            ]
        );
    }

    #[test]
    fn a_read_never_mutates() {
        assert!(routes().iter().all(|it| it.method != Method::GET || !it.mutates));
    }
}
