//! Ways out that trust more, or show a certificate.

use super::*;

const ROOT: &[u8] = include_bytes!("test_root.pem");

fn bare() -> Egress {
    Egress::new(EgressPolicy { ca_bundle: Some(ROOT.to_vec()), ..EgressPolicy::default() })
}

/// Not a key of anything: made for this test.
const IDENTITY: ClientIdentity<'_> = ClientIdentity {
    certificate_pem: include_str!("test_root.pem"),
    private_key_pem: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
};

#[test]
fn the_same_trust_is_the_same_way_out_and_another_is_another() {
    let egress = bare();
    let trusting = |bundle: &[u8]| egress.trusting(Some(bundle), None).unwrap();
    let twice = [ROOT, ROOT].concat();
    assert!(Arc::ptr_eq(&trusting(ROOT).0, &trusting(ROOT).0));
    assert!(!Arc::ptr_eq(&trusting(ROOT).0, &trusting(&twice).0));
    assert!(!Arc::ptr_eq(&trusting(ROOT).0, &egress.0));
    assert!(Arc::ptr_eq(&egress.trusting(None, None).unwrap().0, &egress.0));
    let others = bare();
    assert!(!Arc::ptr_eq(&others.trusting(Some(ROOT), None).unwrap().0, &trusting(ROOT).0));
}

#[test]
fn what_cannot_be_read_is_refused_at_once() {
    let egress = bare();
    for bundle in ["", "rubbish", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        let refused = egress.trusting(Some(bundle.as_bytes()), None).err();
        assert!(matches!(refused, Some(EgressError::Setup(_))), "{bundle:?}: {refused:?}");
    }
    for identity in [
        IDENTITY,
        ClientIdentity { certificate_pem: "", ..IDENTITY },
        ClientIdentity { private_key_pem: "", ..IDENTITY },
    ] {
        let refused = egress.trusting(None, Some(identity)).err();
        assert!(matches!(refused, Some(EgressError::Setup(_))), "{refused:?}");
    }
}

#[test]
fn no_two_sets_of_trust_have_one_fingerprint() {
    let identity = |certificate_pem, private_key_pem| Some(ClientIdentity { certificate_pem, private_key_pem });
    let all = [
        fingerprint(None, identity("ab", "c")),
        fingerprint(None, identity("a", "bc")),
        fingerprint(Some(b"ab"), identity("", "c")),
        fingerprint(Some(b""), identity("ab", "c")),
        fingerprint(Some(b"abc"), None),
    ];
    for (at, one) in all.iter().enumerate() {
        assert!(!all[at + 1..].contains(one), "{at}");
    }
}

#[test]
fn the_policy_stays_and_memory_is_bounded() {
    let egress = bare();
    for count in 0..=DERIVED_MAX {
        let derived = egress.trusting(Some(&ROOT.repeat(count + 1)), None).unwrap();
        assert!(!derived.allows("127.0.0.1".parse().unwrap()));
    }
    assert!(egress.0.derived.lock().unwrap().len() <= DERIVED_MAX);
}
