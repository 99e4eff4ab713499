//! Configuration from files and environment variables.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use chancery_server::{Config, ConfigError};
use tempfile::TempDir;

const KEK: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn file(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chancery.toml");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    (dir, path)
}

fn from_file(text: &str) -> Result<Config, ConfigError> {
    let (_dir, path) = file(text);
    Config::load(Some(&path), [])
}

fn from_environment(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::load(None, variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn refusal(result: Result<Config, ConfigError>) -> String {
    result.err().expect("the configuration was accepted").to_string()
}

#[test]
fn nothing_has_to_be_set() {
    let config = from_environment(&[]).unwrap();
    assert_eq!(config.listen().to_string(), "127.0.0.1:8200");
    assert_eq!(config.data_dir(), PathBuf::from("./chancery-data"));
    assert_eq!(config.kek_file(), Some(PathBuf::from("./chancery-data/kek").as_path()));
    assert_eq!((config.node(), config.site_url()), ("node-1", None));
}

#[test]
fn the_environment_wins_over_the_file_and_the_later_variable_over_the_earlier() {
    let (_dir, path) = file("listen = \"127.0.0.1:1\"\nnode = \"a\"\nsite_url = \"https://a.example/\"\n");
    let variables = [("CHANCERY_LISTEN", "127.0.0.1:2"), ("CHANCERY_NODE", "b"), ("CHANCERY_LISTEN", "127.0.0.1:3")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = Config::load(Some(&path), variables).unwrap();
    assert_eq!(config.listen().port(), 3);
    assert_eq!(config.node(), "b");
    assert_eq!(config.site_url(), Some("https://a.example"));
}

#[test]
fn plain_http_beyond_loopback_is_refused_with_the_three_choices() {
    for address in ["0.0.0.0:8200", "[::]:8200", "192.0.2.1:80"] {
        let message = refusal(from_environment(&[("CHANCERY_LISTEN", address)]));
        for choice in
            [address, "127.0.0.1:8200", "tls_certificate_file and tls_private_key_file", "behind_proxy = true"]
        {
            assert!(message.contains(choice), "{message}");
        }
        let proxied = from_environment(&[("CHANCERY_LISTEN", address), ("CHANCERY_BEHIND_PROXY", "true")]);
        assert!(proxied.is_ok(), "{address}");
        let tls = [
            ("CHANCERY_LISTEN", address),
            ("CHANCERY_TLS_CERTIFICATE_FILE", "c.pem"),
            ("CHANCERY_TLS_PRIVATE_KEY_FILE", "k.pem"),
        ];
        assert!(from_environment(&tls).is_ok(), "{address}");
    }
    for address in ["127.0.0.1:0", "127.8.8.8:1", "[::1]:8200", "[::ffff:127.0.0.1]:8200"] {
        assert!(from_environment(&[("CHANCERY_LISTEN", address)]).is_ok(), "{address}");
    }
}

#[test]
fn unknown_keys_are_refused_with_the_closest_known_name() {
    for (text, closest) in [
        ("listn = \"127.0.0.1:1\"", "did you mean listen?"),
        ("behind-proxy = true", "did you mean behind_proxy?"),
        ("Node = \"a\"", "did you mean node?"),
    ] {
        let message = refusal(from_file(text));
        assert!(message.contains("is not a known key") && message.contains(closest), "{message}");
    }
    let message = refusal(from_file("colour = \"red\""));
    assert!(message.contains("`colour`") && !message.contains("did you mean"), "{message}");

    let message = refusal(from_environment(&[("CHANCERY_LISTN", "127.0.0.1:1")]));
    assert!(message.contains("CHANCERY_LISTN") && message.contains("did you mean listen?"), "{message}");
    let foreign = [
        ("CHANCERY_SERVICE_HOST", "10.0.0.1"),
        ("CHANCERY_URL", "http://x"),
        ("CHANCERY_CREDENTIALS", "f"),
        ("PATH", ""),
    ];
    assert!(from_environment(&foreign).is_ok());
}

#[test]
fn wrong_values_are_refused_by_the_name_of_their_key() {
    for (text, reason) in [
        ("listen = 8200", "a text in quotes is expected"),
        ("listen = \"localhost\"", "is not an address and a port"),
        ("listen = \"\"", "it is empty"),
        ("behind_proxy = \"yes\"", "true or false is expected"),
        ("trusted_proxies = [\"10.0.0.0/8\"]", "no effect without behind_proxy"),
        ("behind_proxy = true\ntrusted_proxies = [\"10.0.0.0/99\"]", "neither an address nor a CIDR block"),
        ("behind_proxy = true\ntrusted_proxies = [1]", "a list of texts is expected"),
        ("tls_certificate_file = \"c.pem\"", "tls_private_key_file must be set with it"),
        ("tls_private_key_file = \"k.pem\"", "tls_certificate_file must be set with it"),
        ("site_url = \"certificates.example.com\"", "does not start with http"),
        ("site_url = \"ftp://example.com\"", "does not start with http"),
        ("site_url = \"https://user:pw@example.com\"", "user or password"),
        ("site_url = \"https://example.com/?a=b\"", "query"),
        ("repository_url = \"https://example.com/#a\"", "fragment"),
        ("repository_listen = \"localhost:80\"", "is not an address and a port"),
        ("crl_mirrors = [\"crl\"]", "neither an absolute path"),
        ("crl_mirrors = [\"/srv/../etc\"]", "neither an absolute path"),
        ("crl_mirrors = [\"https://user:pw@mirror.example\"]", "user or password"),
        ("crl_mirrors = [\"ftp://mirror.example\"]", "does not start with http"),
        ("repository_calls_per_second = -1", "a whole number from 0"),
        ("node = \"Node 1\"", "a node name is"),
        ("database_url = \"mysql://x\"", "postgres://"),
        ("log_format = \"xml\"", "neither text nor json"),
        ("log_level = \"loud=very\"", "is not a level"),
        ("connections_max = 0", "a whole number from 1 to 65536"),
        ("header_bytes_max = 100", "a whole number from 8192"),
        ("header_timeout_seconds = 1.5", "a whole number from 1"),
        ("stop_timeout_seconds = -1", "a whole number from 0"),
        ("[listen]\na = 1", "a text in quotes is expected"),
    ] {
        let message = refusal(from_file(text));
        assert!(message.contains(reason), "{text}: {message}");
        assert!(message.contains("chancery.toml"), "the message names the file: {message}");
    }
}

#[test]
fn broken_toml_is_refused_by_line_without_quoting_it() {
    let message = refusal(from_file("node = \"a\"\ndatabase_url = \"postgres://u:topsecret@h/d\n"));
    assert!(message.contains("line 2") && !message.contains("topsecret"), "{message}");
    let message = refusal(from_file("node = \"a\"\nnode = \"b\"\n"));
    assert!(message.contains("duplicate"), "{message}");
}

#[test]
fn a_file_that_others_can_change_is_refused() {
    let (_dir, path) = file("node = \"a\"\n");
    for mode in [0o660, 0o602, 0o622] {
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let message = refusal(Config::load(Some(&path), []));
        assert!(message.contains(&format!("chmod go-w {}", path.display())), "{message}");
    }
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    assert!(Config::load(Some(&path), []).is_ok());
    let message = refusal(Config::load(Some(&path.with_extension("missing")), []));
    assert!(message.contains("cannot be read"), "{message}");
}

#[test]
fn the_key_encryption_key_belongs_into_the_environment_or_its_own_file() {
    assert!(from_environment(&[("CHANCERY_KEK", KEK)]).unwrap().kek_file().is_none());
    let message = refusal(from_file(&format!("kek = \"{KEK}\"")));
    assert!(message.contains("CHANCERY_KEK") && !message.contains(KEK), "{message}");
    let message = refusal(from_environment(&[("CHANCERY_KEK", "hunter2-hunter2")]));
    assert!(message.contains("CHANCERY_KEK") && !message.contains("hunter2"), "{message}");
    let message = refusal(from_environment(&[("CHANCERY_KEK", KEK), ("CHANCERY_KEK_FILE", "kek")]));
    assert!(message.contains("set one"), "{message}");
}

#[test]
fn printing_masks_secrets() {
    for (url, shown) in [
        ("postgres://user:topsecret@db.example/chancery", "postgres://user:****@db.example/chancery"),
        ("postgres://user:top?secret/@x@db.example/c", "postgres://user:****@db.example/c"),
        (
            "postgres://db.example/c?user=u&password=topsecret&sslmode=require",
            "postgres://db.example/c?user=u&password=****&sslmode=require",
        ),
        ("postgresql://user@db.example/c", "postgresql://user@db.example/c"),
    ] {
        let printed = from_environment(&[("CHANCERY_DATABASE_URL", url), ("CHANCERY_KEK", KEK)]).unwrap().render();
        assert!(printed.contains(&format!("database_url = \"{shown}\"")), "{printed}");
        assert!(!printed.contains("secret@") && !printed.contains("topsecret") && !printed.contains(KEK), "{printed}");
        assert!(printed.contains("# kek = \"****\""), "{printed}");
    }
}

#[test]
fn what_is_printed_reads_back_as_the_same_configuration() {
    let everything = "data_dir = \"/srv/chancery\"\nlisten = \"[::]:443\"\nbehind_proxy = true\n\
        trusted_proxies = [\"10.0.0.0/8\", \"2001:db8::1\"]\ntls_certificate_file = \"/etc/c \\\"quoted\\\".pem\"\n\
        tls_private_key_file = \"/etc/k.pem\"\nsite_url = \"https://a.example/x/\"\nrepository_url = \"http://pki.example\"\n\
        repository_listen = \"0.0.0.0:80\"\ncrl_mirrors = [\"/srv/crl\", \"https://mirror.example/crl\"]\n\
        repository_calls_per_second = 7\n\
        node = \"b\"\ndatabase_url = \"postgres://u@h/d\"\nkek_file = \"/etc/kek\"\nlog_format = \"json\"\n\
        log_level = \"info,chancery_store=debug\"\nconnections_max = 7\nheader_bytes_max = 8192\n\
        header_timeout_seconds = 3\nstop_timeout_seconds = 0\nfailed_calls_per_second = 0\n\
        smtp_url = \"smtps://pki@mail.example\"\nsmtp_from = \"Chancery <pki@example.com>\"\n\
        smtp_password_file = \"/etc/mail\"\negress_allowed_networks = [\"10.0.0.0/8\"]\n\
        egress_loopback_for_tests = true\nacme_http_listen = \"0.0.0.0:80\"\nacme_tls_listen = \"[::]:443\"\n\
        dns_hooks = [\"inner=/usr/lib/hooks/inner\", \"outer=/usr/lib/hooks/outer\"]\n\
        egress_proxy = \"http://proxy.example:3128\"\negress_ca_file = \"/etc/ca.pem\"\n";
    for text in ["", everything] {
        let printed = from_file(text).unwrap().render();
        assert_eq!(from_file(&printed).unwrap().render(), printed);
    }
    let printed = from_file(everything).unwrap().render();
    let unset: Vec<_> = printed.lines().filter(|line| line.ends_with(" is not set")).collect();
    assert_eq!(unset, ["# kek is not set", "# smtp_password is not set"], "every other key is printed");
}

#[test]
fn the_reference_names_every_key_and_its_variable() {
    let reference = Config::reference();
    let printed = from_environment(&[]).unwrap().render();
    let rows: Vec<_> = reference.lines().filter(|line| line.contains("`CHANCERY_")).collect();
    assert!(rows.len() >= 19, "{reference}");
    for row in rows {
        let variable = row.split('`').find(|part| part.starts_with("CHANCERY_")).unwrap();
        assert!(printed.contains(variable), "{variable} is missing from the printed configuration");
        assert_eq!(row.matches('|').count(), 6, "{row}");
    }
}

#[test]
fn loopback_is_asked_by_tests_alone() {
    for network in ["127.0.0.0/8", "127.0.0.1", "::1", "0.0.0.0/0", "::/0", "::ffff:127.0.0.1", "10.0.0.0/8,127.0.0.2"]
    {
        let listed = ("CHANCERY_EGRESS_ALLOWED_NETWORKS", network);
        let message = refusal(from_environment(&[listed]));
        for named in ["CHANCERY_EGRESS_ALLOWED_NETWORKS", "loopback", "egress_loopback_for_tests", "10.0.0.0/8"] {
            assert!(message.contains(named), "{network}: {message}");
        }
        assert!(from_environment(&[listed, ("CHANCERY_EGRESS_LOOPBACK_FOR_TESTS", "true")]).is_ok(), "{network}");
    }
    assert!(from_environment(&[("CHANCERY_EGRESS_ALLOWED_NETWORKS", "10.0.0.0/8,fc00::/7")]).is_ok());
}

#[test]
fn the_ways_out_are_checked_together() {
    let smtp = ("CHANCERY_SMTP_URL", "smtps://pki@mail.example");
    let from = ("CHANCERY_SMTP_FROM", "Chancery <pki@example.com>");
    let password = ("CHANCERY_SMTP_PASSWORD", "topsecret");
    let printed = from_environment(&[smtp, from, password]).unwrap().render();
    assert!(printed.contains("# smtp_password = \"****\"") && !printed.contains("topsecret"), "{printed}");
    for (variables, named) in [
        (vec![smtp, password], "smtp_from must be set"),
        (vec![smtp, from], "smtp_password_file"),
        (vec![from], "without smtp_url"),
        (vec![password], "without smtp_url"),
        (vec![("CHANCERY_SMTP_URL", "smtps://pki:topsecret@mail.example"), from], "contains a password"),
        (vec![("CHANCERY_SMTP_URL", "http://mail.example"), from], "neither smtps:// nor smtp://"),
        (vec![smtp, ("CHANCERY_SMTP_FROM", "nobody"), password], "not an address"),
        (vec![smtp, from, password, ("CHANCERY_SMTP_PASSWORD_FILE", "/etc/mail")], "set one"),
        (vec![("CHANCERY_SMTP_URL", "smtp://mail.example"), from, password], "names no user"),
        (vec![("CHANCERY_EGRESS_ALLOWED_NETWORKS", "10.0.0.0/8,inside")], "neither an address nor a CIDR block"),
        (vec![("CHANCERY_DNS_HOOKS", "inner")], "has no = in it"),
        (vec![("CHANCERY_DNS_HOOKS", "inner=hooks/inner")], "absolute path"),
        (vec![("CHANCERY_DNS_HOOKS", "inner=/usr/../tmp/x")], "absolute path"),
        (vec![("CHANCERY_DNS_HOOKS", "In ner=/usr/lib/x")], "begins with no name"),
        (vec![("CHANCERY_DNS_HOOKS", "a=/usr/lib/x,a=/usr/lib/y")], "twice"),
        (vec![("CHANCERY_ACME_HTTP_LISTEN", "80")], "127.0.0.1:8200"),
        (vec![("CHANCERY_ACME_TLS_LISTEN", "pki.example:443")], "127.0.0.1:8200"),
        (vec![("CHANCERY_EGRESS_PROXY", "proxy.example:3128")], "http://"),
    ] {
        let message = refusal(from_environment(&variables));
        assert!(message.contains(named) && !message.contains("topsecret"), "{variables:?}: {message}");
    }
    let message = refusal(from_file("smtp_password = \"topsecret\"\n"));
    assert!(message.contains("smtp_password_file") && !message.contains("topsecret"), "{message}");
}
