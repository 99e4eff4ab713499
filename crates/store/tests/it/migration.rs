//! Databases that earlier programs wrote.

use chancery_model::application::{Application, ApplicationProfile};
use chancery_model::authority::{CaStatus, CertificationAuthority};
use chancery_model::profile::{ApiEnrollment, CertificateProfile, ProfileIssuer, RenewAt};
use chancery_model::template::CertificateTemplate;
use chancery_store::{Change, Conflict, Location};
use uuid::Uuid;

use crate::external::{external, insert_ca, vault};
use crate::world::{NOW, World};

macro_rules! files {
    ($database:literal: $($version:literal $name:literal),+) => {
        &[$(($version, include_str!(concat!("../../migrations/", $database, "/", $name, ".sql")))),+]
    };
}

/// Up to the last one before external CAs.
const SQLITE: &[(i64, &str)] = files!["sqlite": 1 "0001_initial", 2 "0002_lifecycle", 3 "0003_applications", 4 "0004_alerts", 5 "0005_statistics", 6 "0006_import", 7 "0007_search"];
const POSTGRES: &[(i64, &str)] = files!["postgres": 1 "0001_initial", 2 "0002_lifecycle", 3 "0003_applications", 4 "0004_alerts", 5 "0005_statistics", 6 "0006_import", 7 "0007_search"];

/// Everything away, and the schema of version 7 in its place.
async fn begin_at_seven(world: &World) {
    world.store().close().await;
    let (empty, files) = match &world.location {
        Location::Sqlite { path } => {
            std::fs::remove_file(path).unwrap();
            ("", SQLITE)
        }
        Location::Postgres { .. } => ("DROP SCHEMA public CASCADE; CREATE SCHEMA public;", POSTGRES),
    };
    let mut sql = format!("{empty} CREATE TABLE schema_version (version BIGINT PRIMARY KEY, name TEXT NOT NULL);");
    for (version, file) in files {
        sql.push_str(&format!("{file}; INSERT INTO schema_version (version, name) VALUES ({version}, 'v');"));
    }
    world.tamper(&sql).await;
}

/// What a program of version 7 would have written.
struct Written {
    template: CertificateTemplate,
    ca: CertificationAuthority,
    waiting: CertificationAuthority,
    profile: CertificateProfile,
    application: Application,
    attachment: ApplicationProfile,
}

fn enrollment(world: &World) -> ApiEnrollment {
    ApiEnrollment {
        id: world.id(),
        auto_renew: true,
        renew_before_days: Some(7),
        renew_at: RenewAt::default(),
        renew_jitter: None,
        revoke_superseded_after: None,
    }
}

impl Written {
    fn new(world: &World) -> Self {
        let template = world.template("servers");
        let mut ca = world.ca("issuing");
        (ca.status, ca.active_certificate) = (CaStatus::Active, Some(world.id()));
        ca.direct_issuance_template = Some(template.id);
        let profile = world.profile("web", &template, ProfileIssuer::Ca(ca.id));
        let application = Application {
            id: world.id(),
            project_id: world.project.id,
            name: "shop".to_owned(),
            description: None,
            created_at: NOW,
            updated_at: NOW,
        };
        let attachment = ApplicationProfile {
            application_id: application.id,
            profile_id: profile.id,
            api: Some(enrollment(world)),
            created_at: NOW,
            updated_at: NOW,
        };
        Self { template, ca, waiting: world.ca("waiting"), profile, application, attachment }
    }

    fn sql(&self, world: &World) -> String {
        let blob = |id: Uuid| match world.location {
            Location::Sqlite { .. } => format!("x'{}'", id.simple()),
            Location::Postgres { .. } => format!("'\\x{}'::bytea", id.simple()),
        };
        let project = blob(world.project.id.as_uuid());
        let now = NOW.as_millis();
        let json = |text: Result<String, serde_json::Error>| text.unwrap().replace('\'', "''");
        let (template, profile, application) =
            (blob(self.template.id.as_uuid()), blob(self.profile.id.as_uuid()), blob(self.application.id.as_uuid()));
        let mut sql = format!(
            "INSERT INTO project (id, number, name, slug, created_at, updated_at) VALUES ({project}, 1, 'DEFAULT', 'default', {now}, {now});
             INSERT INTO template (id, project_id, name, description, rules, version, created_at, updated_at) \
             VALUES ({template}, {project}, 'servers', 'Servers of the shop', '{}', 1, {now}, {now});",
            json(serde_json::to_string(&self.template.rules)),
        );
        for ca in [&self.ca, &self.waiting] {
            sql.push_str(&format!(
                "INSERT INTO ca (id, project_id, name, status, configuration, direct_issuance_template, active_certificate, key_id, \
                 created_at, updated_at) VALUES ({}, {project}, '{}', '{}', '{}', {}, {}, {}, {now}, {now});",
                blob(ca.id.as_uuid()),
                ca.name,
                ca.status.as_str(),
                json(serde_json::to_string(&ca.configuration)),
                ca.direct_issuance_template.map_or("NULL".to_owned(), |id| blob(id.as_uuid())),
                ca.active_certificate.map_or("NULL".to_owned(), |id| blob(id.as_uuid())),
                blob(ca.key_id.as_uuid()),
            ));
        }
        sql.push_str(&format!(
            "INSERT INTO profile (id, project_id, slug, ca_id, template_id, enrollment, settings, created_at, updated_at) \
             VALUES ({profile}, {project}, 'web', {}, {template}, 'api', '{}', {now}, {now});
             INSERT INTO application (id, project_id, name, created_at, updated_at) VALUES ({application}, {project}, 'shop', {now}, {now});
             INSERT INTO application_profile (application_id, profile_id, api, created_at, updated_at) \
             VALUES ({application}, {profile}, '{}', {now}, {now});",
            blob(self.ca.id.as_uuid()),
            json(serde_json::to_string(&self.profile.settings)),
            json(serde_json::to_string(&self.attachment.api)),
        ));
        sql
    }
}

/// Rows that refer to one that is not there.
fn orphans(location: &Location) -> Vec<String> {
    let Location::Sqlite { path } = location else { return Vec::new() };
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut check = connection.prepare("PRAGMA foreign_key_check").unwrap();
    check.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

pub async fn a_store_without_external_cas_is_migrated_without_loss(world: &mut World) {
    begin_at_seven(world).await;
    let it = Written::new(world);
    world.tamper(&it.sql(world)).await;
    world.reopen().await;
    let (reader, project) = (world.reader(), world.project.id);
    assert_eq!(orphans(&world.location), Vec::<String>::new());
    assert_eq!(reader.template(project, it.template.id).await, Ok(Some(it.template.clone())));
    assert_eq!(reader.cas(project).await, Ok(vec![it.ca.clone(), it.waiting.clone()]));
    assert_eq!(reader.profile(project, it.profile.id).await, Ok(Some(it.profile.clone())));
    assert_eq!(reader.application(project, it.application.id).await, Ok(Some(it.application.clone())));
    let attached = reader.application_profile(it.application.id, it.profile.id).await;
    assert_eq!(attached, Ok(Some(it.attachment.clone())));

    // What refers to what is watched as before.
    let mut orphan = world.profile("orphan", &it.template, ProfileIssuer::Ca(world.id()));
    assert_eq!(world.refused([Change::InsertProfile(Box::new(orphan.clone()))]).await, Some(Conflict::Missing));
    assert_eq!(world.refused([Change::DeleteCa(it.ca.id)]).await, Some(Conflict::InUse));
    assert_eq!(world.refused([Change::DeleteTemplate(it.template.id)]).await, Some(Conflict::InUse));
    assert_eq!(world.refused([Change::InsertCa(Box::new(world.ca("issuing")))]).await, Some(Conflict::Name));

    let public = external(world, "public", vault(world));
    orphan.issuer = ProfileIssuer::Ca(public.id);
    world.commit([insert_ca(&public), Change::InsertProfile(Box::new(orphan))]).await.unwrap();
    world.reopen().await;
    assert!(world.reader().external_cas(project).await.unwrap() == [public]);
    assert_eq!(world.reader().cas(project).await, Ok(vec![it.ca, it.waiting]));
}
