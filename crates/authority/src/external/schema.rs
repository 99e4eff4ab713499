//! Which apps a connection can be made to, how one logs in there, and what each way needs: the one table that validation,
//! the API's options and the documents read.

use chancery_model::external::ConnectionApp;

/// An app, and the ways of logging in to it.
#[derive(Debug)]
pub struct AppSchema {
    pub app: ConnectionApp,
    /// As people call it.
    pub title: &'static str,
    /// At least one.
    pub methods: &'static [MethodSchema],
}

#[derive(Debug)]
pub struct MethodSchema {
    pub name: &'static str,
    pub fields: &'static [FieldSchema],
}

#[derive(Debug)]
pub struct FieldSchema {
    pub name: &'static str,
    pub is_required: bool,
    /// Sealed, and never shown again.
    pub is_secret: bool,
    pub form: FieldForm,
    pub description: &'static str,
}

/// What a field's text has to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldForm {
    Text,
    /// An https URL.
    Url,
    /// Base64 with or without padding (RFC 4648 §4).
    Base64,
    Pem,
    Json,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

const fn needed(name: &'static str, description: &'static str) -> FieldSchema {
    FieldSchema { name, is_required: true, is_secret: false, form: FieldForm::Text, description }
}

const fn optional(name: &'static str, description: &'static str) -> FieldSchema {
    FieldSchema { is_required: false, ..needed(name, description) }
}

const fn secret(name: &'static str, description: &'static str) -> FieldSchema {
    FieldSchema { is_secret: true, ..needed(name, description) }
}

const fn shaped(form: FieldForm, field: FieldSchema) -> FieldSchema {
    FieldSchema { form, ..field }
}

const fn endpoint(description: &'static str) -> FieldSchema {
    shaped(FieldForm::Url, optional("endpoint", description))
}

const INSTANCE_URL: FieldSchema =
    shaped(FieldForm::Url, needed("instanceUrl", "Address of the server, such as https://vault.example.com:8200."));
const NAMESPACE: FieldSchema = optional("namespace", "Namespace to work in, where the server has namespaces.");
const CA_CERTIFICATE: FieldSchema = shaped(
    FieldForm::Pem,
    optional("caCertificate", "PEM certificates that vouch for the server's own, beside the system's."),
);

/// Every app of this build.
pub const APPS: &[AppSchema] = &[
    AppSchema {
        app: ConnectionApp::Aws,
        title: "Amazon Web Services",
        methods: &[MethodSchema {
            name: "access-key",
            fields: &[
                needed("accessKeyId", "Id of the access key."),
                secret("secretAccessKey", "Its secret."),
                endpoint("Of Route 53, where it is not the public one."),
            ],
        }],
    },
    AppSchema {
        app: ConnectionApp::Cloudflare,
        title: "Cloudflare",
        methods: &[MethodSchema {
            name: "api-token",
            fields: &[
                secret("apiToken", "API token that may edit DNS in the zones concerned."),
                optional("accountId", "Id of the account; for information only."),
                endpoint("Of the API, where it is not the public one."),
            ],
        }],
    },
    AppSchema {
        app: ConnectionApp::DnsMadeEasy,
        title: "DNS Made Easy",
        methods: &[MethodSchema {
            name: "api-key-secret",
            fields: &[
                needed("apiKey", "API key of the account."),
                secret("secretKey", "Its secret key."),
                endpoint("Of the API, where it is not the public one."),
            ],
        }],
    },
    AppSchema {
        app: ConnectionApp::AzureDns,
        title: "Azure DNS",
        methods: &[MethodSchema {
            name: "client-secret",
            fields: &[
                needed("tenantId", "Directory (tenant) id."),
                needed("clientId", "Application (client) id."),
                secret("clientSecret", "A secret of the application."),
                needed("subscriptionId", "Subscription that holds the zones."),
                shaped(
                    FieldForm::Url,
                    optional("loginEndpoint", "Where tokens come from, where it is not the public cloud."),
                ),
                endpoint("Of the resource manager, where it is not the public cloud's."),
            ],
        }],
    },
    AppSchema {
        app: ConnectionApp::Gcp,
        title: "Google Cloud",
        methods: &[MethodSchema {
            name: "service-account-key",
            fields: &[
                shaped(
                    FieldForm::Json,
                    secret("serviceAccountKey", "The service account's key file (JSON), as it was downloaded."),
                ),
                endpoint("Of Cloud DNS, where it is not the public one."),
            ],
        }],
    },
    AppSchema {
        app: ConnectionApp::DigitalOcean,
        title: "DigitalOcean",
        methods: &[MethodSchema {
            name: "api-token",
            fields: &[
                secret("apiToken", "Personal access token that may read, create and delete in Domains."),
                endpoint("Of the API, where it is not the public one."),
            ],
        }],
    },
    AppSchema {
        app: ConnectionApp::Hetzner,
        title: "Hetzner Cloud DNS",
        methods: &[MethodSchema {
            name: "api-token",
            fields: &[
                secret("apiToken", "API token of the Cloud project that has the zones; read and write."),
                endpoint("Of the API, where it is not the public one."),
            ],
        }],
    },
    AppSchema {
        app: ConnectionApp::Desec,
        title: "deSEC",
        methods: &[MethodSchema {
            name: "api-token",
            fields: &[
                secret("apiToken", "Token that may write TXT records of the domains concerned."),
                endpoint("Of the API, where it is not the public one."),
            ],
        }],
    },
    AppSchema {
        app: ConnectionApp::Gandi,
        title: "Gandi LiveDNS",
        methods: &[MethodSchema {
            name: "personal-access-token",
            fields: &[
                secret(
                    "apiToken",
                    "Personal access token that may manage the technical configurations of the domains concerned.",
                ),
                endpoint("Of the API, where it is not the public one."),
            ],
        }],
    },
    AppSchema {
        app: ConnectionApp::Ovh,
        title: "OVHcloud",
        methods: &[MethodSchema {
            name: "application-key",
            fields: &[
                needed("applicationKey", "Key of the application."),
                secret("applicationSecret", "Its secret."),
                secret("consumerKey", "Consumer key that was validated for the application."),
                shaped(
                    FieldForm::OneOf(&["ovh-eu", "ovh-ca", "ovh-us"]),
                    optional("region", "Which of its APIs has the account: ovh-eu (default), ovh-ca or ovh-us."),
                ),
                endpoint("Of the API, where it is none of these."),
            ],
        }],
    },
    AppSchema {
        app: ConnectionApp::Rfc2136,
        title: "DNS server with dynamic updates (RFC 2136)",
        methods: &[MethodSchema {
            name: "tsig",
            fields: &[
                needed("server", "Name or address of the primary server, with a port unless it is 53."),
                needed("keyName", "Name of the TSIG key (RFC 8945)."),
                shaped(
                    FieldForm::OneOf(&["hmac-sha256", "hmac-sha384", "hmac-sha512"]),
                    optional("algorithm", "Of the key: hmac-sha256 (default), hmac-sha384 or hmac-sha512."),
                ),
                shaped(FieldForm::Base64, secret("secret", "The key in base64.")),
                optional("zone", "A zone that the key may change, by which it is tried; absent: only the server is."),
            ],
        }],
    },
    AppSchema {
        app: ConnectionApp::DnsWebhook,
        title: "DNS by a webhook of your own",
        methods: &[MethodSchema {
            name: "signed",
            fields: &[
                shaped(FieldForm::Url, needed("url", "Where records are asked for and taken back.")),
                secret("secret", "Key of the signature that each call carries; at least 16 characters."),
            ],
        }],
    },
    AppSchema {
        app: ConnectionApp::DnsExec,
        title: "DNS by a program on the server",
        methods: &[MethodSchema {
            name: "hook",
            fields: &[needed("hook", "Name under which the operator has declared the program (dns_hooks).")],
        }],
    },
    AppSchema {
        app: ConnectionApp::Digicert,
        title: "DigiCert CertCentral",
        methods: &[MethodSchema {
            name: "api-key",
            fields: &[
                secret("apiKey", "API key of a CertCentral user."),
                endpoint("Of the Services API, such as https://www.digicert.eu/services/v2 for European accounts."),
            ],
        }],
    },
    AppSchema {
        app: ConnectionApp::Vault,
        title: "HashiCorp Vault or OpenBao",
        methods: &[
            MethodSchema {
                name: "access-token",
                fields: &[INSTANCE_URL, NAMESPACE, secret("accessToken", "A token."), CA_CERTIFICATE],
            },
            MethodSchema {
                name: "app-role",
                fields: &[
                    INSTANCE_URL,
                    NAMESPACE,
                    needed("roleId", "Role id of the AppRole."),
                    secret("secretId", "A secret id of it."),
                    optional("mount", "Path of the auth method; approle by default."),
                    CA_CERTIFICATE,
                ],
            },
            MethodSchema {
                name: "tls-certificate",
                fields: &[
                    INSTANCE_URL,
                    NAMESPACE,
                    shaped(FieldForm::Pem, needed("certificate", "The client certificate, PEM, with its chain.")),
                    shaped(FieldForm::Pem, secret("privateKey", "Its private key, PEM.")),
                    optional("mount", "Path of the auth method; cert by default."),
                    optional("role", "Name of the certificate role; absent: any that fits."),
                    CA_CERTIFICATE,
                ],
            },
        ],
    },
];

/// The schema of an app; there is one for each.
#[must_use]
pub fn app(app: ConnectionApp) -> Option<&'static AppSchema> {
    APPS.iter().find(|it| it.app == app)
}

impl AppSchema {
    #[must_use]
    pub fn method(&self, name: &str) -> Option<&'static MethodSchema> {
        self.methods.iter().find(|it| it.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_app_has_a_schema_and_no_field_twice() {
        for one in ConnectionApp::ALL {
            let schema = app(*one).unwrap_or_else(|| panic!("{one:?} has no schema"));
            assert!(!schema.methods.is_empty(), "{one:?}");
            for method in schema.methods {
                let mut names: Vec<_> = method.fields.iter().map(|it| it.name).collect();
                names.sort_unstable();
                names.dedup();
                assert_eq!(names.len(), method.fields.len(), "{one:?} {}", method.name);
            }
        }
    }
}
