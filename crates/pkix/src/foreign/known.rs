//! What extensions are called, and a few identifiers inside them: those of RFC 5280 and its neighbours, of certificate
//! transparency, and of the software that people bring certificates from.

/// The name of an extension, by its identifier in dotted form.
pub(super) fn extension_name(dotted: &str) -> Option<&'static str> {
    Some(match dotted {
        "2.5.29.9" => "Subject directory attributes",
        "2.5.29.14" => "Subject key identifier",
        "2.5.29.15" => "Key usage",
        "2.5.29.16" => "Private key usage period",
        "2.5.29.17" => "Subject alternative name",
        "2.5.29.18" => "Issuer alternative name",
        "2.5.29.19" => "Basic constraints",
        "2.5.29.30" => "Name constraints",
        "2.5.29.31" => "CRL distribution points",
        "2.5.29.32" => "Certificate policies",
        "2.5.29.33" => "Policy mappings",
        "2.5.29.35" => "Authority key identifier",
        "2.5.29.36" => "Policy constraints",
        "2.5.29.37" => "Extended key usage",
        "2.5.29.46" => "Freshest CRL",
        "2.5.29.54" => "Inhibit any-policy",
        "2.5.29.56" => "No revocation available",
        "1.3.6.1.5.5.7.1.1" => "Authority information access",
        "1.3.6.1.5.5.7.1.3" => "Qualified certificate statements",
        "1.3.6.1.5.5.7.1.11" => "Subject information access",
        "1.3.6.1.5.5.7.1.24" => "TLS feature",
        "1.3.6.1.5.5.7.1.31" => "ACME challenge",
        "1.3.6.1.5.5.7.48.1.5" => "OCSP no check",
        "1.3.6.1.4.1.11129.2.4.2" => "Certificate transparency timestamps",
        "1.3.6.1.4.1.11129.2.4.3" => "Certificate transparency precertificate",
        "1.3.6.1.4.1.311.20.2" => "Certificate type (Microsoft)",
        "1.3.6.1.4.1.311.21.1" => "CA version (Microsoft)",
        "1.3.6.1.4.1.311.21.2" => "Previous CA certificate hash (Microsoft)",
        "1.3.6.1.4.1.311.21.7" => "Certificate template (Microsoft)",
        "1.3.6.1.4.1.311.21.10" => "Application policies (Microsoft)",
        "1.3.6.1.4.1.311.25.2" => "Security identifier (Microsoft)",
        "1.3.6.1.4.1.37476.9000.64.1" => "Provisioner (step-ca)",
        "2.16.840.1.113730.1.1" => "Certificate type (Netscape)",
        "2.16.840.1.113730.1.13" => "Comment (Netscape)",
        _ => return None,
    })
}

/// The name of a certificate policy.
pub(super) fn policy_name(dotted: &str) -> Option<&'static str> {
    Some(match dotted {
        "2.5.29.32.0" => "any policy",
        "2.23.140.1.1" => "extended validation",
        "2.23.140.1.2.1" => "domain validated",
        "2.23.140.1.2.2" => "organization validated",
        "2.23.140.1.2.3" => "individual validated",
        "2.23.140.1.4.1" => "code signing",
        _ => return None,
    })
}

/// The name of a purpose that is not issued here.
pub(super) fn purpose_name(dotted: &str) -> Option<&'static str> {
    Some(match dotted {
        "1.3.6.1.5.5.7.3.5" => "IPsec end system",
        "1.3.6.1.5.5.7.3.6" => "IPsec tunnel",
        "1.3.6.1.5.5.7.3.7" => "IPsec user",
        "1.3.6.1.5.5.7.3.17" => "IPsec IKE",
        "1.3.6.1.5.5.7.3.21" => "SSH client",
        "1.3.6.1.5.5.7.3.22" => "SSH server",
        "1.3.6.1.5.5.7.3.36" => "Document signing",
        "1.3.6.1.5.2.3.4" => "Kerberos client (PKINIT)",
        "1.3.6.1.5.2.3.5" => "Kerberos domain controller",
        "1.3.6.1.4.1.311.20.2.2" => "Smart card sign-in (Microsoft)",
        "1.3.6.1.4.1.311.10.3.4" => "Encrypting file system (Microsoft)",
        "1.3.6.1.4.1.311.10.3.12" => "Document signing (Microsoft)",
        "1.3.6.1.4.1.311.54.1.2" => "Remote desktop (Microsoft)",
        _ => return None,
    })
}

/// The name of an access method (RFC 5280 §4.2.2).
pub(super) fn access_method_name(dotted: &str) -> Option<&'static str> {
    Some(match dotted {
        "1.3.6.1.5.5.7.48.1" => "OCSP responder",
        "1.3.6.1.5.5.7.48.2" => "Issuer's certificate",
        "1.3.6.1.5.5.7.48.3" => "Time stamping",
        "1.3.6.1.5.5.7.48.5" => "CA repository",
        _ => return None,
    })
}
