//! PKCS#12 files of ours opened by openssl.

use chancery_pkix::{Certificate, pkcs12};

use crate::judge::Workshop;

#[test]
fn openssl_opens_what_we_write() {
    let shop = Workshop::new();
    shop.openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -subj /CN=leaf -out leaf.pem",
    );
    shop.openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -subj /CN=ca -out ca.pem",
    );
    shop.openssl("pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out key.der");
    let leaf = Certificate::from_pem(&shop.read_text("leaf.pem")).unwrap();
    let ca = Certificate::from_pem(&shop.read_text("ca.pem")).unwrap();
    let key = shop.read("key.der");
    let file = pkcs12::write(leaf.der(), &key, &[ca.der().to_vec()], "correct horse", "my key", false).unwrap();
    shop.write("a.p12", file);

    let open = |password: &str| {
        let password = format!("pass:{password}");
        shop.try_openssl(&["pkcs12", "-in", "a.p12", "-info", "-nodes", "-passin", &password])
    };
    let (opened, text) = open("correct horse");
    assert!(opened, "{text}");
    for expected in ["PBES2, PBKDF2, AES-256-CBC", "hmacWithSHA256", "MAC: sha256", "friendlyName: my key"] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    let at = text.find("-----BEGIN CERTIFICATE").unwrap();
    let certificates: String = text.get(at..).unwrap().split_inclusive("-----END CERTIFICATE-----\n").collect();
    let certificates = certificates.split("-----BEGIN PRIVATE").next().unwrap();
    let read: Vec<_> = Certificate::from_pem_bundle(certificates).unwrap();
    assert_eq!(read, [leaf.clone(), ca]);
    assert!(!open("wrong").0);
    assert_eq!(pkcs12::write(leaf.der(), &key, &[], "", "a", false).unwrap_err().code, "pkcs12.password");
    assert_eq!(pkcs12::write(leaf.der(), b"no key", &[], "pw", "a", false).unwrap_err().code, "pkcs12.contents");
    assert_eq!(pkcs12::write(b"none", &key, &[], "pw", "a", false).unwrap_err().code, "pkcs12.contents");
}

/// A root, an issuing CA and a leaf with its key, all made by openssl: `root.pem`, `ca.pem`, `leaf.pem`, `leaf.key`.
fn family() -> Workshop {
    let shop = Workshop::new();
    shop.write("ca.ext", "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\n");
    shop.write("leaf.ext", "basicConstraints=CA:FALSE\n");
    for (name, issuer, extensions) in [("root", "root", "ca.ext"), ("ca", "root", "ca.ext"), ("leaf", "ca", "leaf.ext")]
    {
        shop.openssl(&format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {name}.key"));
        shop.openssl(&format!("req -new -key {name}.key -subj /CN={name} -out {name}.csr"));
        let signer = if name == issuer {
            format!("-signkey {name}.key")
        } else {
            format!("-CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial")
        };
        shop.openssl(&format!("x509 -req -in {name}.csr -days 9 -extfile {extensions} {signer} -out {name}.pem"));
    }
    shop.write("above.pem", shop.read_text("root.pem") + &shop.read_text("ca.pem"));
    shop
}

fn der(shop: &Workshop, name: &str) -> Vec<u8> {
    Certificate::from_pem(&shop.read_text(&format!("{name}.pem"))).unwrap().der().to_vec()
}

fn code(file: &[u8], password: &str) -> &'static str {
    pkcs12::read(file, password).err().unwrap().code
}

#[test]
fn files_of_openssl_are_read_in_every_profile() {
    let shop = family();
    shop.openssl("pkcs8 -topk8 -nocrypt -in leaf.key -outform DER -out leaf.p8");
    for profile in [
        "",
        "-keypbe AES-128-CBC -certpbe AES-128-CBC -macalg sha512 -iter 5000",
        "-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1",
        "-keypbe NONE -certpbe NONE",
    ] {
        shop.openssl(&format!(
            "pkcs12 -export -in leaf.pem -inkey leaf.key -certfile above.pem -name mine -passout pass:sesam {profile} -out a.p12"
        ));
        let file = shop.read("a.p12");
        let entries = pkcs12::read(&file, "sesam").unwrap();
        let [entry] = entries.as_slice() else { panic!("{} entries", entries.len()) };
        assert_eq!(entry.alias.as_deref(), Some("mine"));
        assert_eq!(entry.certificate_der, der(&shop, "leaf"));
        assert_eq!(entry.chain, [der(&shop, "ca"), der(&shop, "root")]);
        assert_eq!(entry.private_key_pkcs8.as_ref().unwrap().as_slice(), shop.read("leaf.p8"));
        assert_eq!(code(&file, "sesame"), "pkcs12.password", "{profile}");
        assert_eq!(code(&file, "sesam\u{1f511}"), "pkcs12.password");
    }
}

#[test]
fn ours_are_read_back_and_the_legacy_ones_by_old_software_too() {
    let shop = family();
    shop.openssl("pkcs8 -topk8 -nocrypt -in leaf.key -outform DER -out leaf.p8");
    for legacy in [false, true] {
        let chain = [der(&shop, "ca"), der(&shop, "root")];
        let file = pkcs12::write(&der(&shop, "leaf"), &shop.read("leaf.p8"), &chain, "sesam", "mine", legacy).unwrap();
        let entries = pkcs12::read(&file, "sesam").unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].chain, chain);
        shop.write("b.p12", file);
        let text = shop.openssl("pkcs12 -in b.p12 -info -nodes -passin pass:sesam");
        let (expected, absent) = if legacy {
            ("pbeWithSHA1And3-KeyTripleDES-CBC", "PBES2")
        } else {
            ("PBES2, PBKDF2, AES-256-CBC", "TripleDES")
        };
        assert!(text.contains(expected) && !text.contains(absent), "{text}");
    }
}

#[test]
fn certificates_without_keys_are_entries_of_their_own() {
    let shop = family();
    shop.write("all.pem", shop.read_text("root.pem") + &shop.read_text("leaf.pem") + &shop.read_text("ca.pem"));
    shop.openssl("pkcs12 -export -nokeys -in all.pem -passout pass:sesam -out a.p12");
    let entries = pkcs12::read(&shop.read("a.p12"), "sesam").unwrap();
    assert_eq!(entries.len(), 1);
    assert!(entries[0].private_key_pkcs8.is_none());
    assert_eq!(entries[0].certificate_der, der(&shop, "leaf"));
    assert_eq!(entries[0].chain.len(), 2);

    shop.openssl("req -x509 -newkey rsa:1024 -sha1 -nodes -keyout old.key -subj /CN=old -out old.pem");
    shop.write("two.pem", shop.read_text("old.pem") + &shop.read_text("root.pem"));
    shop.openssl("pkcs12 -export -in leaf.pem -inkey leaf.key -certfile two.pem -passout pass:sesam -out b.p12");
    let entries = pkcs12::read(&shop.read("b.p12"), "sesam").unwrap();
    let read: Vec<_> = entries.iter().map(|one| (one.certificate_der.clone(), one.chain.len())).collect();
    let old = chancery_pkix::pem::decode(&shop.read_text("old.pem"), chancery_pkix::pem::OutsideText::Refuse).unwrap();
    assert_eq!(read, [(der(&shop, "leaf"), 0), (old[0].der.clone(), 0), (der(&shop, "root"), 0)]);
}

#[test]
fn files_that_ask_for_too_much_are_refused_at_once() {
    let shop = family();
    let export = |more: &str| {
        shop.openssl(&format!("pkcs12 -export -in leaf.pem -inkey leaf.key -passout pass:sesam {more} -out a.p12"));
        shop.read("a.p12")
    };
    assert_eq!(code(&export("-nomac"), "sesam"), "pkcs12.mac");
    assert_eq!(code(&export("-keypbe PBE-SHA1-2DES -certpbe PBE-SHA1-2DES"), "sesam"), "pkcs12.unsupported");
    let good = export("-iter 60000 -maciter");
    let rounds = [2, 3, 0x00, 0xea, 0x60];
    let places: Vec<usize> = good.windows(5).enumerate().filter(|(_, at)| *at == rounds).map(|(at, _)| at).collect();
    assert!(places.len() >= 2, "{places:?}");
    for place in places {
        let mut greedy = good.clone();
        greedy[place + 2..place + 5].copy_from_slice(&[0x7f, 0xff, 0xff]);
        assert_eq!(code(&greedy, "sesam"), "pkcs12.iterations");
    }
    assert_eq!(code(&vec![0x30; 1024 * 1024 + 1], "sesam"), "pkcs12.too_large");
    assert_eq!(code(b"-----BEGIN", "sesam"), "pkcs12.encoding");
    assert_eq!(code(&shop.read("leaf.pem"), "sesam"), "pkcs12.encoding");
    let mut changed = good.clone();
    let at = changed.len() / 2;
    changed[at] ^= 1;
    assert_eq!(code(&changed, "sesam"), "pkcs12.password");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn changed_files_never_panic(at: proptest::sample::Index, octet: u8) {
        static GOOD: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
            let shop = family();
            shop.openssl("pkcs12 -export -in leaf.pem -inkey leaf.key -passout pass:sesam -iter 1 -out a.p12");
            shop.read("a.p12")
        });
        let mut file = GOOD.clone();
        let at = at.index(file.len());
        file[at] = octet;
        // What still opens is what it was: the MAC covers all that is read.
        if let Ok(entries) = pkcs12::read(&file, "sesam") {
            proptest::prop_assert_eq!(entries.len(), 1);
            proptest::prop_assert!(entries[0].private_key_pkcs8.is_some());
        }
    }
}
