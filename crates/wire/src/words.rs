//! The closed sets of strings that requests and answers use. A string outside its set is a schema error (422).

words! {
    /// Kind of key with its size, as requests spell it.
    KeyAlgorithm {
        Rsa2048 => "RSA_2048", Rsa3072 => "RSA_3072", Rsa4096 => "RSA_4096",
        EcP256 => "EC_prime256v1", EcP384 => "EC_secp384r1", EcP521 => "EC_secp521r1",
        Ed25519 => "Ed25519",
        MlDsa44 => "ML-DSA-44", MlDsa65 => "ML-DSA-65", MlDsa87 => "ML-DSA-87",
    }
    /// Signature algorithm, as requests spell it.
    SignatureAlgorithm {
        RsaSha256 => "RSA-SHA256", RsaSha384 => "RSA-SHA384", RsaSha512 => "RSA-SHA512",
        RsaPssSha256 => "RSA-PSS-SHA256", RsaPssSha384 => "RSA-PSS-SHA384", RsaPssSha512 => "RSA-PSS-SHA512",
        EcdsaSha256 => "ECDSA-SHA256", EcdsaSha384 => "ECDSA-SHA384", EcdsaSha512 => "ECDSA-SHA512",
        Ed25519 => "Ed25519",
        MlDsa44 => "ML-DSA-44", MlDsa65 => "ML-DSA-65", MlDsa87 => "ML-DSA-87",
    }
    /// One bit of the key usage extension.
    KeyUsage {
        DigitalSignature => "digital_signature", KeyEncipherment => "key_encipherment",
        NonRepudiation => "non_repudiation", DataEncipherment => "data_encipherment",
        KeyAgreement => "key_agreement", KeyCertSign => "key_cert_sign", CrlSign => "crl_sign",
        EncipherOnly => "encipher_only", DecipherOnly => "decipher_only",
    }
    /// One purpose of the extended key usage extension.
    ExtendedKeyUsage {
        ClientAuth => "client_auth", ServerAuth => "server_auth", CodeSigning => "code_signing",
        EmailProtection => "email_protection", OcspSigning => "ocsp_signing", TimeStamping => "time_stamping",
        AnyPurpose => "any_purpose",
    }
    /// Kind of subject alternative name.
    SanType {
        DnsName => "dns_name", IpAddress => "ip_address", Email => "email", Uri => "uri", Upn => "upn",
        OtherName => "other_name", DirectoryName => "directory_name", RegisteredId => "registered_id",
    }
    /// Kind of subject attribute that a template rule may speak about.
    SubjectAttributeType {
        CommonName => "common_name", Organization => "organization", OrganizationalUnit => "organizational_unit",
        Country => "country", State => "state", Locality => "locality", DomainComponent => "domain_component",
    }
    /// State of a certificate.
    CertificateStatus { Active => "active", Expired => "expired", Revoked => "revoked" }
    /// State of a certificate request.
    RequestStatus {
        PendingApproval => "pending_approval", Pending => "pending", PendingValidation => "pending_validation",
        Issued => "issued", Failed => "failed", Rejected => "rejected",
    }
    /// State of an order at an external CA: being asked for; ended, and what it left outside is being removed; done.
    OrderStatus { Ordering => "ordering", Tidying => "tidying", Done => "done" }
    /// State of a certification authority.
    CaStatus { Active => "active", Disabled => "disabled", PendingCertificate => "pending-certificate" }
    /// Which key the renewed certificate of a CA is for.
    CaRenewalType { Existing => "existing", NewKey => "new-key" }
    /// Who signs an intermediate CA. `venafi` and `azure-ad-cs` do not exist in this build; they are refused with 400.
    CaSigner {
        Internal => "internal", Manual => "manual", Vault => "vault", Venafi => "venafi", AzureAdCs => "azure-ad-cs",
    }
    /// How control of a name is proved to an ACME CA (RFC 8555 §8, RFC 8737).
    AcmeChallenge { Dns01 => "dns-01", Http01 => "http-01", TlsAlpn01 => "tls-alpn-01" }
    /// Who changes DNS records.
    DnsProvider {
        Route53 => "route53", Cloudflare => "cloudflare", DnsMadeEasy => "dns-made-easy", AzureDns => "azure-dns",
        GoogleCloudDns => "google-cloud-dns", DigitalOcean => "digitalocean", Hetzner => "hetzner", Desec => "desec",
        Gandi => "gandi", Ovh => "ovh", Rfc2136 => "rfc2136", Webhook => "webhook", Exec => "exec",
    }
    /// How control of a name is proved to DigiCert.
    DcvMethod {
        Email => "email", DnsTxtToken => "dns-txt-token", DnsCnameToken => "dns-cname-token", HttpToken => "http-token",
    }
    /// Place of a certification authority in its hierarchy.
    CaLevel { Root => "root", Intermediate => "intermediate" }
    /// Where a renewal takes its key from: a fresh pair, the old key, or the caller's CSR.
    RenewalKeySource { New => "new", Reuse => "reuse", Csr => "csr" }
    /// Whether a template allows, requires or denies CA certificates.
    RuleState { Allowed => "allowed", Required => "required", Denied => "denied" }
    /// Who signs the certificates of a profile.
    IssuerType { Ca => "ca", SelfSigned => "self-signed" }
    /// How certificates of a profile are requested. Only `api` exists in this build; the others are refused with 400.
    EnrollmentType { Api => "api", Est => "est", Acme => "acme", Scep => "scep" }
    /// Where a server-made private key stays: `stored` (sealed, readable later), `returnOnce` (in the issue or renew
    /// answer only), `none` (never made here; CSR only).
    KeyCustody { Stored => "stored", ReturnOnce => "returnOnce", None => "none" }
    /// What happens to CSR extensions nobody knows; both report them.
    UnknownCsrExtensions { Ignore => "ignore", Refuse => "refuse" }
    /// Role of an identity in its project.
    Role { Admin => "admin", Operator => "operator", Auditor => "auditor" }
    /// Direction of a sorted list.
    SortOrder { Ascending => "asc", Descending => "desc" }
    /// Outcome of a dry run.
    Verdict { Issued => "issued", PendingApproval => "pending_approval", Refused => "refused" }
    /// Outcome of one rule.
    RuleVerdict { Pass => "pass", Fail => "fail" }
    /// What to do with a field to mend a violation.
    SuggestedAction { Set => "set", Add => "add", Remove => "remove" }
    /// Why a certificate is revoked (RFC 5280 §5.3.1).
    RevocationReason {
        Unspecified => "UNSPECIFIED", KeyCompromise => "KEY_COMPROMISE", CaCompromise => "CA_COMPROMISE",
        AffiliationChanged => "AFFILIATION_CHANGED", Superseded => "SUPERSEDED",
        CessationOfOperation => "CESSATION_OF_OPERATION", CertificateHold => "CERTIFICATE_HOLD",
        PrivilegeWithdrawn => "PRIVILEGE_WITHDRAWN", AaCompromise => "A_A_COMPROMISE",
    }
    /// Form of a downloaded certificate.
    ExportFormat { Pem => "pem", Chain => "chain", Der => "der", Pkcs7 => "pkcs7" }
}
