//! The one table of pages. Router and coverage tests are both made from it.

use std::sync::LazyLock;

use axum::Router;
use axum::handler::Handler;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, get, on};
use chancery_model::permission::Permission;
use http::Method;

use crate::error::WebError;
use crate::gate::{self, Gate};
use crate::observe::observe;
use crate::state::WebState;
use crate::visit::redirect;

/// Largest form, unless a page says otherwise.
const FORM_MAX: usize = 256 * 1024;

/// Who may see a page or send a form to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody: style sheets.
    Open,
    /// Anybody, at a limited rate; forms must come from this site: signing in.
    Public,
    /// Whoever has a session and the permission in its project.
    Permission(Permission),
}

/// One page or form, as tests see it.
#[derive(Clone, Debug)]
pub struct PageInfo {
    pub method: Method,
    /// With parameters in braces, such as `/ui/certificates/{id}`.
    pub path: &'static str,
    pub access: Access,
    /// Whether the password is asked for again when it was not given lately.
    pub is_elevated: bool,
}

/// All pages and forms, in the order of the table.
#[must_use]
pub fn pages() -> &'static [PageInfo] {
    static PAGES: LazyLock<Vec<PageInfo>> = LazyLock::new(|| {
        let info =
            |it: Page| PageInfo { method: it.method, path: it.path, access: it.access, is_elevated: it.is_elevated };
        table().into_iter().map(info).collect()
    });
    &PAGES
}

/// The door: everything under `/ui`, and `/`, which leads there. It has no fallback, so that it can stand beside others.
pub fn router(state: WebState) -> Router {
    let mut router = Router::new();
    for page in table() {
        let path = page.path;
        router = router.route(path, gated(page, &state));
    }
    router
        .route("/", get(async || redirect("/ui")))
        .route("/ui/", get(async || redirect("/ui")))
        .route("/ui/{*unknown}", get(unknown_page).post(unknown_page))
        .route_layer(from_fn_with_state(state.clone(), observe))
        .with_state(state)
}

async fn unknown_page() -> Result<Response, WebError> {
    Err(WebError::not_found("This page"))
}

fn gated(page: Page, state: &WebState) -> MethodRouter<WebState> {
    match page.access {
        Access::Open => page.handler,
        Access::Public => page.handler.route_layer(from_fn_with_state(state.clone(), gate::open)),
        Access::Permission(permission) => {
            let Page { is_elevated, form_max, .. } = page;
            let gate = Gate { state: state.clone(), permission, is_elevated, form_max };
            // The innermost layer sees what the handler made of it; errors become pages inside the visitor's frame.
            page.handler.route_layer(from_fn(gate::frame_errors)).route_layer(from_fn_with_state(gate, gate::pass))
        }
    }
}

/// Everything about one page.
pub(crate) struct Page {
    method: Method,
    path: &'static str,
    access: Access,
    is_elevated: bool,
    form_max: usize,
    handler: MethodRouter<WebState>,
}

impl Page {
    fn new<H, T>(method: Method, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, WebState>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
        Self { method, path, access, is_elevated: false, form_max: FORM_MAX, handler: on(filter, handler) }
    }

    pub fn get<H: Handler<T, WebState>, T: 'static>(path: &'static str, permission: Permission, handler: H) -> Self {
        Self::new(Method::GET, path, Access::Permission(permission), handler)
    }

    pub fn post<H: Handler<T, WebState>, T: 'static>(path: &'static str, permission: Permission, handler: H) -> Self {
        Self::new(Method::POST, path, Access::Permission(permission), handler)
    }

    pub fn public<H: Handler<T, WebState>, T: 'static>(method: Method, path: &'static str, handler: H) -> Self {
        Self::new(method, path, Access::Public, handler)
    }

    pub fn open<H: Handler<T, WebState>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::GET, path, Access::Open, handler)
    }

    /// Asks for the password again when it was not given lately: for what cannot be taken back.
    pub fn elevated(mut self) -> Self {
        self.is_elevated = true;
        self
    }

    /// Takes larger forms than others do, in octets.
    pub fn takes_up_to(mut self, octets: usize) -> Self {
        self.form_max = octets;
        self
    }
}

/// The table: a part per noun.
fn table() -> Vec<Page> {
    let parts = [
        crate::asset::pages(),
        crate::sign_in::pages(),
        crate::dashboard::pages(),
        crate::certificate::pages(),
        crate::setup::pages(),
        crate::authority::pages(),
        crate::external::pages(),
        crate::connection::pages(),
        crate::request::pages(),
        crate::certificate_request::pages(),
        crate::account::pages(),
        crate::person::pages(),
        crate::identity::pages(),
        crate::alert::pages(),
        crate::audit::pages(),
        crate::settings::pages(),
        crate::about::pages(),
        crate::template::pages(),
        crate::profile::pages(),
        crate::inventory::pages(),
        crate::saved_view::pages(),
        crate::renewal::pages(),
    ];
    parts.into_iter().flatten().collect()
}
