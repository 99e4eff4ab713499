//! Ready pieces of configuration with a certificate's own names and the names of its files. They are copied into shells
//! and configuration files, so only names of a plain alphabet come into them.

use chancery_model::certificate::Certificate;
use chancery_pkix::ExtendedKeyUsage;

use super::word::{file_stem, plain_hosts};

pub(super) struct Snippet {
    pub id: &'static str,
    pub title: &'static str,
    pub note: &'static str,
    pub text: String,
}

struct Names<'a> {
    stem: String,
    hosts: Vec<&'a str>,
    /// One that can be connected to.
    host: String,
    /// The file by which others trust it.
    anchor: String,
}

/// Those that suit what the certificate may be used for.
pub(super) fn snippets(it: &Certificate, is_self_signed: bool) -> Vec<Snippet> {
    let stem = file_stem(it);
    let mut hosts = plain_hosts(it);
    if hosts.is_empty() {
        hosts.push("www.example.com");
    }
    let concrete = hosts.iter().find(|host| !host.starts_with("*."));
    let host = match (concrete, hosts.first()) {
        (Some(host), _) => (*host).to_owned(),
        (None, first) => format!("www.{}", first.map_or("example.com", |it| it.trim_start_matches("*."))),
    };
    let anchor = format!("{stem}{}", if is_self_signed { ".pem" } else { ".chain.pem" });
    let names = Names { stem, hosts, host, anchor };
    let purposes = &it.description.extended_key_usages;
    let serves =
        |usage| purposes.is_empty() || purposes.contains(&usage) || purposes.contains(&ExtendedKeyUsage::AnyPurpose);
    let mut all = Vec::new();
    if it.description.is_ca {
        return all;
    }
    if serves(ExtendedKeyUsage::ServerAuth) {
        all.extend([nginx(&names), apache(&names), haproxy(&names), java(&names), curl(&names)]);
    }
    if serves(ExtendedKeyUsage::ClientAuth) {
        all.push(curl_client(&names));
    }
    all
}

fn nginx(names: &Names<'_>) -> Snippet {
    let Names { stem, hosts, .. } = names;
    Snippet {
        id: "snippet-nginx",
        title: "nginx",
        note: "Full chain and private key; reload nginx afterwards.",
        text: format!(
            "server {{\n    listen 443 ssl;\n    server_name {};\n\n    ssl_certificate     /etc/ssl/{stem}.fullchain.pem;\n    ssl_certificate_key /etc/ssl/private/{stem}.key;\n}}",
            hosts.join(" ")
        ),
    }
}

fn apache(names: &Names<'_>) -> Snippet {
    let Names { stem, hosts, host, .. } = names;
    let aliases: Vec<&str> = hosts.iter().copied().filter(|it| it != host).collect();
    let aliases = if aliases.is_empty() { String::new() } else { format!("    ServerAlias {}\n", aliases.join(" ")) };
    Snippet {
        id: "snippet-apache",
        title: "Apache",
        note: "Full chain and private key; mod_ssl must be on.",
        text: format!(
            "<VirtualHost *:443>\n    ServerName {host}\n{aliases}    SSLEngine on\n    SSLCertificateFile    /etc/ssl/{stem}.fullchain.pem\n    SSLCertificateKeyFile /etc/ssl/private/{stem}.key\n</VirtualHost>"
        ),
    }
}

fn haproxy(names: &Names<'_>) -> Snippet {
    let Names { stem, .. } = names;
    Snippet {
        id: "snippet-haproxy",
        title: "HAProxy",
        note: "HAProxy reads full chain and private key from one file.",
        text: format!(
            "# cat {stem}.fullchain.pem {stem}.key > /etc/haproxy/certs/{stem}.pem\nfrontend https\n    bind :443 ssl crt /etc/haproxy/certs/{stem}.pem"
        ),
    }
}

fn java(names: &Names<'_>) -> Snippet {
    let Names { stem, .. } = names;
    Snippet {
        id: "snippet-java",
        title: "Java",
        note: "The PKCS#12 file is a key store as it is; the properties are those of Spring Boot.",
        text: format!(
            "keytool -list -storetype PKCS12 -keystore {stem}.p12\n\nserver.ssl.key-store=/etc/ssl/private/{stem}.p12\nserver.ssl.key-store-type=PKCS12\nserver.ssl.key-store-password=<the password of the file>"
        ),
    }
}

fn curl(names: &Names<'_>) -> Snippet {
    let Names { host, anchor, .. } = names;
    Snippet {
        id: "snippet-curl",
        title: "curl: look at the server",
        note: "Trusts what issued the certificate, and nothing else.",
        text: format!("curl --cacert {anchor} https://{host}/"),
    }
}

fn curl_client(names: &Names<'_>) -> Snippet {
    let Names { stem, .. } = names;
    Snippet {
        id: "snippet-curl-client",
        title: "curl: as a client",
        note: "Shows the certificate to a server that asks for one.",
        text: format!("curl --cert {stem}.fullchain.pem --key {stem}.key https://server.example.com/"),
    }
}
