//! E-mail by the operator's own mail server: plain text, which shows names as names and nothing else.

use std::time::{Duration, UNIX_EPOCH};

use chancery_authority::alert::{Message, NotifyError};
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::text;

/// For one network operation, and for all of a delivery.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(60);

/// RFC 8314 §3.3 and RFC 6409 §3.1.
const PORT_TLS: u16 = 465;
const PORT_SUBMISSION: u16 = 587;

/// Where mail goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpSettings {
    host: String,
    port: u16,
    security: Security,
    user: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Security {
    /// TLS from the first octet.
    Implicit,
    /// Plain at first, and no further without TLS.
    StartTls,
    /// To this machine itself.
    None,
}

impl SmtpSettings {
    /// `smtps://[user@]host[:port]` for TLS from the start, `smtp://…` for STARTTLS, which is left out towards loopback only.
    ///
    /// # Errors
    /// The reason, which does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = "write it as smtps://user@mail.example.com:465";
        let url = Url::parse(text).map_err(|_| format!("it is not a URL; {form}"))?;
        if url.password().is_some() {
            return Err("it contains a password; put that into smtp_password_file or the environment".to_owned());
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("it has more than a host and a port; {form}"));
        }
        // The parser leaves the host of a scheme it does not know as text.
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| format!("it has no host; {form}"))?;
        let host = Host::parse(host).map_err(|_| format!("its host is neither a name nor an address; {form}"))?;
        let security = match url.scheme() {
            "smtps" => Security::Implicit,
            "smtp" if is_loopback(&host) => Security::None,
            "smtp" => Security::StartTls,
            _ => return Err(format!("it starts with neither smtps:// nor smtp://; {form}")),
        };
        let port = url.port().unwrap_or(if security == Security::Implicit { PORT_TLS } else { PORT_SUBMISSION });
        let user = Some(url.username()).filter(|user| !user.is_empty()).map(decoded).transpose()?;
        let host = match host {
            Host::Ipv6(address) => address.to_string(),
            other => other.to_string(),
        };
        Ok(Self { host, port, security, user })
    }

    /// Whether it logs in, and so needs a password.
    #[must_use]
    pub const fn needs_password(&self) -> bool {
        self.user.is_some()
    }
}

/// An address may stand in the user name with its at sign as `%40`.
fn decoded(user: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(user.len());
    let mut rest = user.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|it| char::from(it).to_digit(16)).and_then(|it| u8::try_from(it).ok());
        match (digit(), digit()) {
            (Some(high), Some(low)) => bytes.push(high * 16 + low),
            _ => return Err("its user has a percent sign that starts no octet".to_owned()),
        }
    }
    String::from_utf8(bytes).map_err(|_| "its user is not UTF-8".to_owned())
}

fn is_loopback(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// Sends mail under one sender's name.
pub struct Mailer {
    settings: SmtpSettings,
    password: Option<Zeroizing<String>>,
    from: Mailbox,
    ca_bundle: Option<Vec<u8>>,
}

impl Mailer {
    /// `from`: `Name <address>` or an address. `ca_bundle`: PEM certificates trusted beside the system's.
    ///
    /// # Errors
    /// The reason why `from` is no address, or the bundle no certificates.
    pub fn new(
        settings: SmtpSettings,
        password: Option<Zeroizing<String>>,
        from: &str,
        ca_bundle: Option<Vec<u8>>,
    ) -> Result<Self, String> {
        let from = Self::sender(from)?;
        if let Some(bundle) = &ca_bundle {
            certificates(bundle)?;
        }
        Ok(Self { settings, password, from, ca_bundle })
    }

    /// Checks a sender before anything is made of it.
    ///
    /// # Errors
    /// The reason why it is none.
    pub fn check_sender(from: &str) -> Result<(), String> {
        Self::sender(from).map(|_| ())
    }

    fn sender(from: &str) -> Result<Mailbox, String> {
        from.parse().map_err(|_| "it is not an address; write it as Chancery <pki@example.com>".to_owned())
    }

    pub(crate) async fn send(&self, recipients: &[String], message: &Message) -> Result<(), NotifyError> {
        let mail = self.mail(recipients, message)?;
        let transport = self.transport().map_err(|error| {
            tracing::warn!(%error, "The mail server's TLS could not be set up.");
            NotifyError::passing("TLS towards the mail server is not set up on this server; see its log")
        })?;
        match tokio::time::timeout(TIMEOUT, transport.send(mail)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(refused(&error)),
            Err(_) => Err(NotifyError::passing("the mail server did not answer in time")),
        }
    }

    fn mail(&self, recipients: &[String], message: &Message) -> Result<lettre::Message, NotifyError> {
        let seconds = u64::try_from(message.time.as_seconds()).unwrap_or(0);
        let subject = format!("[Chancery] {}: {}", text::headline(message), text::one_line(&message.alert.name));
        let mut builder = lettre::Message::builder()
            .from(self.from.clone())
            // Every try has the same, so that a mailbox that got it twice can tell.
            .message_id(Some(format!("<{}@{}>", message.id, self.from.email.domain())))
            .date(UNIX_EPOCH + Duration::from_secs(seconds))
            .subject(subject)
            .header(ContentType::TEXT_PLAIN)
            // RFC 3834 §5: no automatic answers, please.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        for recipient in recipients {
            let mailbox = recipient.parse().map_err(|_| NotifyError::lasting("a recipient is not an address"))?;
            builder = builder.to(mailbox);
        }
        builder.body(body(message)).map_err(|_| NotifyError::lasting("the message cannot be written as mail"))
    }

    fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
        let SmtpSettings { host, port, security, user } = &self.settings;
        let tls = match security {
            Security::None => Tls::None,
            Security::Implicit => Tls::Wrapper(self.tls(host)?),
            Security::StartTls => Tls::Required(self.tls(host)?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(*port)
            .tls(tls)
            .timeout(Some(STEP_TIMEOUT));
        if let (Some(user), Some(password)) = (user, &self.password) {
            builder = builder.credentials(Credentials::new(user.clone(), password.as_str().to_owned()));
        }
        Ok(builder.build())
    }

    fn tls(&self, host: &str) -> Result<TlsParameters, String> {
        let mut builder = TlsParameters::builder(host.to_owned());
        for certificate in self.ca_bundle.as_deref().map(certificates).transpose()?.unwrap_or_default() {
            builder = builder.add_root_certificate(certificate);
        }
        builder.build().map_err(|error| error.to_string())
    }
}

fn certificates(bundle: &[u8]) -> Result<Vec<Certificate>, String> {
    const END: &str = "-----END CERTIFICATE-----";
    let text = std::str::from_utf8(bundle).map_err(|_| "it is not PEM".to_owned())?;
    let found: Result<Vec<_>, _> = text
        .split_inclusive(END)
        .filter(|part| part.contains("-----BEGIN CERTIFICATE-----"))
        .map(|part| Certificate::from_pem(part.as_bytes()))
        .collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err("it holds no PEM certificates".to_owned()),
    }
}

/// What the server said for good (RFC 5321 §4.2.1: 5xx) is not tried again.
fn refused(error: &smtp::Error) -> NotifyError {
    let said = text::one_line(&error.to_string());
    if error.is_permanent() {
        NotifyError::lasting(format!("the mail server refused the message: {said}"))
    } else if error.is_transient() {
        NotifyError::passing(format!("the mail server refused the message for now: {said}"))
    } else {
        tracing::warn!(%error, "The mail server could not be reached.");
        NotifyError::passing("the mail server is not reachable")
    }
}

fn body(message: &Message) -> String {
    let (lines, left_out) = text::lines(message);
    let mut body = format!("{}\r\n\r\n", text::headline(message));
    for line in lines {
        body.push_str("- ");
        body.push_str(&line);
        body.push_str("\r\n");
    }
    if left_out > 0 {
        body.push_str(&format!("and {left_out} more\r\n"));
    }
    body.push_str(&format!("\r\nAlert: {}\r\n", text::one_line(&message.alert.name)));
    if let Some(url) = &message.view_url {
        body.push_str(&format!("All of them: {url}\r\n"));
    }
    body.push_str(&format!("Notification {}, {}\r\n", message.id, message.time));
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn mailer() -> Mailer {
        Mailer::new(SmtpSettings::parse("smtp://localhost").unwrap(), None, "Chancery <pki@acme.com>", None).unwrap()
    }

    #[test]
    fn settings_are_a_url_without_a_password() {
        let settings = |host: &str, port, security, user: Option<&str>| SmtpSettings {
            host: host.to_owned(),
            port,
            security,
            user: user.map(str::to_owned),
        };
        for (text, expected) in [
            ("smtps://mail.acme.com", settings("mail.acme.com", 465, Security::Implicit, None)),
            ("smtps://a%40b@mail.acme.com:2465", settings("mail.acme.com", 2465, Security::Implicit, Some("a@b"))),
            ("smtp://mail.acme.com/", settings("mail.acme.com", 587, Security::StartTls, None)),
            ("smtp://127.0.0.1:25", settings("127.0.0.1", 25, Security::None, None)),
            ("smtp://[::1]:25", settings("::1", 25, Security::None, None)),
            ("smtp://localhost:1025", settings("localhost", 1025, Security::None, None)),
            ("smtp://10.0.0.1", settings("10.0.0.1", 587, Security::StartTls, None)),
        ] {
            assert_eq!(SmtpSettings::parse(text), Ok(expected), "{text}");
        }
        for text in [
            "mail.acme.com",
            "http://mail.acme.com",
            "smtp://",
            "smtp://u:secret@mail.acme.com",
            "smtp://mail.acme.com/x",
            "smtp://mail.acme.com?tls=none",
            "smtp://a%4@mail.acme.com",
        ] {
            let refused = SmtpSettings::parse(text).unwrap_err();
            assert!(!refused.contains("secret"), "{refused}");
        }
    }

    #[test]
    fn a_name_with_line_ends_adds_no_header_and_no_recipient() {
        let mut message = sample::message();
        message.certificates[0].common_name = "x\r\nBcc: evil@evil.test\r\n\r\n.\r\nMAIL FROM:<a@b>".to_owned();
        message.alert.name = "soon\r\nBcc: evil@evil.test".to_owned();
        message.alert.before = None;
        let mail = mailer().mail(&["ops@acme.com".to_owned()], &message).unwrap();
        let text = String::from_utf8(mail.formatted()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let headers: Vec<&str> = head.split("\r\n").filter_map(|line| line.split_once(": ")).map(|it| it.0).collect();
        assert!(!headers.iter().any(|it| it.eq_ignore_ascii_case("bcc")), "{head}");
        assert!(
            !body.split("\r\n").any(|line| line.starts_with("Bcc") || line == "." || line.starts_with("MAIL")),
            "{body}"
        );
        assert_eq!(mail.envelope().to().len(), 1);
        assert!(head.contains("Message-ID: <00000000-0000-0000-0000-000000000001@acme.com>"), "{head}");
        assert!(head.contains("Auto-Submitted: auto-generated"), "{head}");
        assert!(head.contains("Date: Fri, 15 Jan 2027 08:00:00 +0000"), "{head}");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        assert!(
            Mailer::check_sender("Chancery <pki@acme.com>").is_ok() && Mailer::check_sender("pki@acme.com").is_ok()
        );
        assert!(Mailer::check_sender("nobody").is_err() && Mailer::check_sender("a@b\r\nBcc: c@d").is_err());
        let refused = mailer().mail(&["ops@acme.com\r\nRCPT TO:<x@y>".to_owned()], &sample::message());
        assert!(!refused.unwrap_err().retryable);
    }
}
