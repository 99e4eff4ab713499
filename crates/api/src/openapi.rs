//! The OpenAPI document, made from the table of routes and the structs of the wire.

use std::collections::BTreeMap;

use chancery_wire::ErrorBody;
use http::Method;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn, PathsBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, Deprecated, InfoBuilder, OpenApiBuilder, PathItem, Ref, RefOr, Required,
    ResponseBuilder, Schema,
};
use utoipa::{PartialSchema, ToSchema};

use crate::route::{Access, Endpoint, NamedSchemas, endpoints};

const DESCRIPTION: &str = "Configure certification authorities, say what may be issued, request and renew certificates. \
Every path also answers with a trailing slash. Unknown keys in a request are dropped. Times are ISO 8601 in UTC with \
milliseconds. Writes take the header `Idempotency-Key` (1 to 255 visible ASCII characters): the same key with the same \
request gives the same answer for 24 hours, with another request 409.";

/// OpenAPI 3.1 as pretty JSON. The same build always gives the same text.
#[must_use]
pub fn openapi() -> String {
    let mut schemas: NamedSchemas = vec![(ErrorBody::name().into_owned(), ErrorBody::schema())];
    ErrorBody::schemas(&mut schemas);
    let mut paths = PathsBuilder::new();
    for endpoint in endpoints() {
        let item = PathItem::new(http_method(&endpoint.method), operation(&endpoint, &mut schemas));
        paths = paths.path(endpoint.path, item);
    }
    let sorted: BTreeMap<String, RefOr<Schema>> = schemas.into_iter().collect();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The `accessToken` of a log-in. The header only, never the query string."))
        .build();
    let components = ComponentsBuilder::new()
        .schemas_from_iter(sorted)
        .security_scheme("bearer", SecurityScheme::Http(bearer))
        .build();
    let info =
        InfoBuilder::new().title("Chancery").version(env!("CARGO_PKG_VERSION")).description(Some(DESCRIPTION)).build();
    let document = OpenApiBuilder::new().info(info).paths(paths.build()).components(Some(components)).build();
    let mut text = document.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

fn http_method(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PATCH => HttpMethod::Patch,
        Method::DELETE => HttpMethod::Delete,
        Method::PUT => HttpMethod::Put,
        _ => HttpMethod::Get,
    }
}

fn operation(endpoint: &Endpoint, schemas: &mut NamedSchemas) -> Operation {
    let answer = endpoint.answer.1.map(|schema| schema(schemas));
    let content = ContentBuilder::new().schema(answer.or_else(|| binary(endpoint.answer.0))).build();
    let success = ResponseBuilder::new().description("Success").content(endpoint.answer.0, content).build();
    let error = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
    let failure = ResponseBuilder::new().description("Any error").content("application/json", error).build();
    let mut operation = OperationBuilder::new()
        .operation_id(Some(endpoint.operation.clone()))
        .summary(Some(endpoint.summary))
        .tag(endpoint.tag)
        .response("200", success)
        .response("default", failure)
        .extensions(Some(permission_extension(endpoint.access)));
    if let Access::Permission(_) = endpoint.access {
        operation = operation.security(SecurityRequirement::new("bearer", Vec::<String>::new()));
    }
    if endpoint.deprecated {
        operation = operation.deprecated(Some(Deprecated::True));
    }
    for name in path_parameters(&endpoint.path) {
        operation = operation.parameter(path_parameter(name));
    }
    for parameter in &endpoint.parameters {
        operation = operation.parameter(parameter.clone());
    }
    if let Some(schema) = endpoint.body {
        let content = ContentBuilder::new().schema(Some(schema(schemas))).build();
        let required = if endpoint.body_optional { Required::False } else { Required::True };
        let body = RequestBodyBuilder::new().content("application/json", content).required(Some(required)).build();
        operation = operation.request_body(Some(body));
    }
    operation.build()
}

/// What stands for an answer that is not JSON.
fn binary(media_type: &str) -> Option<RefOr<Schema>> {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let schema = if media_type.starts_with("text/") {
        text
    } else {
        text.format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
    };
    (media_type != "application/json").then(|| schema.build().into())
}

fn permission_extension(access: Access) -> Extensions {
    let text = match access {
        Access::Public => "public".to_owned(),
        Access::Permission(permission) => format!("{} {}", permission.action(), permission.subject()),
    };
    Extensions::builder().add("x-permission", text).build()
}

fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn path_parameter(name: &str) -> utoipa::openapi::path::Parameter {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let is_id = name == "id" || name.ends_with("Id");
    let schema = if is_id { text.format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid))) } else { text };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(schema.build()))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_every_route_with_its_permission() {
        let document: serde_json::Value = serde_json::from_str(&openapi()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        for route in crate::routes() {
            let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
            assert!(operation["operationId"].is_string(), "{} {}", route.method, route.path);
            assert!(operation["x-permission"].is_string(), "{} {}", route.method, route.path);
            assert_eq!(operation["security"].is_array(), route.access != Access::Public, "{}", route.path);
        }
    }

    #[test]
    fn every_reference_of_the_document_resolves() {
        let text = openapi();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        let references: Vec<_> =
            text.split("\"$ref\": \"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(references.len() > 100);
        for name in references {
            assert!(document["components"]["schemas"][name].is_object(), "{name} is referred to and missing");
        }
    }

    #[test]
    fn the_document_is_the_same_every_time() {
        assert_eq!(openapi(), openapi());
    }
}
