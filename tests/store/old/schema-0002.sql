BEGIN TRANSACTION;
CREATE TABLE "account" (
	id INTEGER NOT NULL, 
	slug VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	language VARCHAR, 
	multi_site BOOLEAN, 
	uid VARCHAR NOT NULL, 
	CONSTRAINT pk_account PRIMARY KEY (id), 
	CONSTRAINT uq_account_slug UNIQUE (slug), 
	CONSTRAINT uq_account_uid UNIQUE (uid)
);
INSERT INTO "account" VALUES(1,'acme','Acme Logistics','vi',1,'92049733a9693334');
INSERT INTO "account" VALUES(2,'bare','Bare',NULL,NULL,'a802134be81792a0');
CREATE TABLE account_revision (
	id INTEGER NOT NULL, 
	slug VARCHAR NOT NULL, 
	revision INTEGER NOT NULL, 
	CONSTRAINT pk_account_revision PRIMARY KEY (id), 
	CONSTRAINT uq_account_revision_slug UNIQUE (slug)
);
INSERT INTO "account_revision" VALUES(1,'acme',1);
INSERT INTO "account_revision" VALUES(2,'bare',1);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE "device" (
	id INTEGER NOT NULL, 
	account_id INTEGER NOT NULL, 
	owner_id INTEGER, 
	username VARCHAR NOT NULL, 
	ha1_md5 VARCHAR, 
	ha1_sha256 VARCHAR, 
	address VARCHAR, 
	destination VARCHAR, 
	model VARCHAR, 
	mac VARCHAR, 
	uid VARCHAR NOT NULL, 
	CONSTRAINT pk_device PRIMARY KEY (id), 
	CONSTRAINT uq_device_username UNIQUE (username), 
	CONSTRAINT fk_device_account_id_account FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE, 
	CONSTRAINT fk_device_owner_id_owner FOREIGN KEY(owner_id) REFERENCES owner (id) ON DELETE CASCADE, 
	CONSTRAINT uq_device_uid UNIQUE (uid)
);
INSERT INTO "device" VALUES(1,1,NULL,'gw-1',NULL,NULL,'192.0.2.9','park:805',NULL,NULL,'02930f223957eb6a');
INSERT INTO "device" VALUES(2,1,1,'acme-101','27ae99aec874ca6c0fdf7b4ab72e518b','f22b4f87eb8b3b2ed0c4e5c310d77026a06a71bed28b66b750a69378befa6531',NULL,NULL,'generic',NULL,'e56d1eb124e01968');
INSERT INTO "device" VALUES(3,1,2,'acme-102','891de2dd7136867f7682cacc70877135','3b5a0c81f315c100f8369071dabfbee7dab94bd7081bb0ee7b82d1bbf2ff4718',NULL,NULL,'yealink-t46u','80:5e:c0:00:00:02','0c04139b8f9fff23');
INSERT INTO "device" VALUES(4,1,3,'acme-110','e70f9f473b06c600f89852ba8e3b6798','d57fc0eba4d7d46ba07ea2b6d0d1e1fdc556e0e6f807be2d02b2e590a0466973',NULL,NULL,'polycom-vvx450','64:16:7f:00:00:10','b3896ee9977302b6');
CREATE TABLE directory (
	id INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	CONSTRAINT pk_directory PRIMARY KEY (id)
);
INSERT INTO "directory" VALUES(1,1);
CREATE TABLE "extension_group" (
	id INTEGER NOT NULL, 
	account_id INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	extension VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	strategy VARCHAR, 
	uid VARCHAR NOT NULL, 
	CONSTRAINT pk_extension_group PRIMARY KEY (id), 
	CONSTRAINT ck_extension_group_kind CHECK (kind IN ('ring', 'paging')), 
	CONSTRAINT fk_extension_group_account_id_account FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE, 
	CONSTRAINT uq_extension_group_account_id_extension UNIQUE (account_id, extension), 
	CONSTRAINT uq_extension_group_uid UNIQUE (uid)
);
INSERT INTO "extension_group" VALUES(1,1,'ring','120','Packing','all','7010c04c1008b5e3');
INSERT INTO "extension_group" VALUES(2,1,'paging','130','Hall',NULL,'cc51981f6a38690f');
CREATE TABLE feature_codes (
	id INTEGER NOT NULL, 
	account_id INTEGER NOT NULL, 
	park VARCHAR, 
	park_dtmf VARCHAR, 
	pickup_prefix VARCHAR, 
	CONSTRAINT pk_feature_codes PRIMARY KEY (id), 
	CONSTRAINT fk_feature_codes_account_id_account FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE, 
	CONSTRAINT uq_feature_codes_account_id UNIQUE (account_id)
);
INSERT INTO "feature_codes" VALUES(1,1,'*800','*5','**');
CREATE TABLE group_member (
	id INTEGER NOT NULL, 
	extension_group_id INTEGER NOT NULL, 
	owner_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	CONSTRAINT pk_group_member PRIMARY KEY (id), 
	CONSTRAINT fk_group_member_extension_group_id_extension_group FOREIGN KEY(extension_group_id) REFERENCES extension_group (id) ON DELETE CASCADE, 
	CONSTRAINT fk_group_member_owner_id_owner FOREIGN KEY(owner_id) REFERENCES owner (id) ON DELETE CASCADE, 
	CONSTRAINT uq_group_member_extension_group_id_owner_id UNIQUE (extension_group_id, owner_id)
);
INSERT INTO "group_member" VALUES(1,1,2,0);
INSERT INTO "group_member" VALUES(2,1,1,1);
INSERT INTO "group_member" VALUES(3,2,3,0);
CREATE TABLE inbound_number (
	id INTEGER NOT NULL, 
	trunk_id INTEGER NOT NULL, 
	number VARCHAR NOT NULL, 
	destination VARCHAR NOT NULL, 
	CONSTRAINT pk_inbound_number PRIMARY KEY (id), 
	CONSTRAINT fk_inbound_number_trunk_id_trunk FOREIGN KEY(trunk_id) REFERENCES trunk (id) ON DELETE CASCADE, 
	CONSTRAINT uq_inbound_number_trunk_id_number UNIQUE (trunk_id, number)
);
INSERT INTO "inbound_number" VALUES(1,1,'+84281234567','101');
INSERT INTO "inbound_number" VALUES(2,1,'+84281234568','park');
CREATE TABLE login (
	id INTEGER NOT NULL, 
	account_id INTEGER, 
	owner_id INTEGER, 
	name VARCHAR NOT NULL, 
	password_hash VARCHAR, 
	CONSTRAINT pk_login PRIMARY KEY (id), 
	CONSTRAINT fk_login_account_id_account FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE, 
	CONSTRAINT fk_login_owner_id_owner FOREIGN KEY(owner_id) REFERENCES owner (id) ON DELETE CASCADE, 
	CONSTRAINT uq_login_name UNIQUE (name)
);
INSERT INTO "login" VALUES(1,NULL,NULL,'admin','$argon2id$v=19$m=19456,t=2,p=1$c4C9YUskBy+O54yi/PoQDg$6ZZT0TfuQ8YN3aAa0smXfZdlfcjOx9cuR89FYART40A');
INSERT INTO "login" VALUES(2,1,NULL,'admin@acme.test','$argon2id$v=19$m=19456,t=2,p=1$kPuncovzK+hb4b/UDeujVw$4T5JdmZzP/hE65VCUzWldPDNQUbciZcbOJmImSbi0jg');
INSERT INTO "login" VALUES(3,1,1,'alice@acme.test','$argon2id$v=19$m=19456,t=2,p=1$byY95CPVcGhxzKTMOje4DA$5FBJ3F/RaRhzsIUuxg5joKcZ9q5WoFY9unyeHZDWohM');
CREATE TABLE "lot" (
	id INTEGER NOT NULL, 
	site_id INTEGER, 
	codes VARCHAR, 
	account_id INTEGER NOT NULL, 
	expiration_seconds FLOAT, 
	uid VARCHAR NOT NULL, 
	CONSTRAINT pk_lot PRIMARY KEY (id), 
	CONSTRAINT fk_lot_site_id_site FOREIGN KEY(site_id) REFERENCES site (id) ON DELETE CASCADE, 
	CONSTRAINT fk_lot_account_id_account FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE, 
	CONSTRAINT uq_lot_site_id UNIQUE (site_id), 
	CONSTRAINT uq_lot_uid UNIQUE (uid)
);
INSERT INTO "lot" VALUES(1,1,'801-899',1,NULL,'2bf8acf8c9b321fd');
INSERT INTO "lot" VALUES(2,2,'701-709',1,NULL,'44310e1ed70affbf');
INSERT INTO "lot" VALUES(3,NULL,NULL,2,NULL,'93316d641e73c308');
CREATE TABLE "owner" (
	id INTEGER NOT NULL, 
	account_id INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	extension VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	language VARCHAR, 
	licensed BOOLEAN, 
	voicemail BOOLEAN, 
	site_id INTEGER, 
	uid VARCHAR NOT NULL, 
	CONSTRAINT pk_owner PRIMARY KEY (id), 
	CONSTRAINT ck_owner_kind CHECK (kind IN ('user', 'common_area')), 
	CONSTRAINT uq_owner_account_id_extension UNIQUE (account_id, extension), 
	CONSTRAINT fk_owner_site_id_site FOREIGN KEY(site_id) REFERENCES site (id) ON DELETE SET NULL, 
	CONSTRAINT fk_owner_account_id_account FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE, 
	CONSTRAINT uq_owner_uid UNIQUE (uid)
);
INSERT INTO "owner" VALUES(1,1,'user','101','Alice',NULL,1,1,1,'2a352352c75385bb');
INSERT INTO "owner" VALUES(2,1,'user','102','Bob','en',0,NULL,2,'0db230ce5079709a');
INSERT INTO "owner" VALUES(3,1,'common_area','110','Warehouse wall',NULL,NULL,NULL,NULL,'a7caefe5962c5277');
CREATE TABLE park_setting (
	id INTEGER NOT NULL, 
	account_id INTEGER NOT NULL, 
	site_id INTEGER, 
	owner_id INTEGER, 
	"key" VARCHAR NOT NULL, 
	value JSON NOT NULL, 
	CONSTRAINT pk_park_setting PRIMARY KEY (id), 
	CONSTRAINT fk_park_setting_account_id_account FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE, 
	CONSTRAINT fk_park_setting_owner_id_owner FOREIGN KEY(owner_id) REFERENCES owner (id) ON DELETE CASCADE, 
	CONSTRAINT fk_park_setting_site_id_site FOREIGN KEY(site_id) REFERENCES site (id) ON DELETE CASCADE
);
INSERT INTO "park_setting" VALUES(1,1,NULL,NULL,'enable','true');
INSERT INTO "park_setting" VALUES(2,1,NULL,NULL,'expiration_period',10);
INSERT INTO "park_setting" VALUES(3,1,NULL,NULL,'call_not_picked_up_action',50);
INSERT INTO "park_setting" VALUES(4,1,NULL,NULL,'forward_to','"102"');
INSERT INTO "park_setting" VALUES(5,1,NULL,NULL,'sequence',1);
INSERT INTO "park_setting" VALUES(6,1,NULL,NULL,'reserve_seconds',30);
INSERT INTO "park_setting" VALUES(7,1,1,NULL,'expiration_period',5);
INSERT INTO "park_setting" VALUES(8,1,NULL,1,'reserve_seconds',60);
CREATE TABLE "site" (
	id INTEGER NOT NULL, 
	account_id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	position INTEGER NOT NULL, 
	uid VARCHAR NOT NULL, 
	CONSTRAINT pk_site PRIMARY KEY (id), 
	CONSTRAINT uq_site_account_id_name UNIQUE (account_id, name), 
	CONSTRAINT fk_site_account_id_account FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE, 
	CONSTRAINT uq_site_uid UNIQUE (uid)
);
INSERT INTO "site" VALUES(1,1,'Main',0,'c007f957d88880af');
INSERT INTO "site" VALUES(2,1,'Đà Nẵng',1,'d65f46a5df56011c');
CREATE TABLE trunk (
	id INTEGER NOT NULL, 
	account_id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	address VARCHAR NOT NULL, 
	CONSTRAINT pk_trunk PRIMARY KEY (id), 
	CONSTRAINT fk_trunk_account_id_account FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE, 
	CONSTRAINT uq_trunk_account_id_name UNIQUE (account_id, name)
);
INSERT INTO "trunk" VALUES(1,1,'carrier','127.0.0.1:5090');
CREATE INDEX ix_feature_codes_account_id ON feature_codes (account_id);
CREATE INDEX ix_trunk_account_id ON trunk (account_id);
CREATE INDEX ix_inbound_number_trunk_id ON inbound_number (trunk_id);
CREATE INDEX ix_group_member_extension_group_id ON group_member (extension_group_id);
CREATE INDEX ix_group_member_owner_id ON group_member (owner_id);
CREATE INDEX ix_login_account_id ON login (account_id);
CREATE INDEX ix_login_owner_id ON login (owner_id);
CREATE INDEX ix_park_setting_account_id ON park_setting (account_id);
CREATE INDEX ix_park_setting_owner_id ON park_setting (owner_id);
CREATE INDEX ix_park_setting_site_id ON park_setting (site_id);
CREATE INDEX ix_device_account_id ON device (account_id);
CREATE INDEX ix_device_owner_id ON device (owner_id);
CREATE INDEX ix_extension_group_account_id ON extension_group (account_id);
CREATE INDEX ix_lot_account_id ON lot (account_id);
CREATE INDEX ix_lot_site_id ON lot (site_id);
CREATE INDEX ix_owner_account_id ON owner (account_id);
CREATE INDEX ix_owner_site_id ON owner (site_id);
CREATE INDEX ix_site_account_id ON site (account_id);
CREATE INDEX ix_account_revision_revision ON account_revision (revision);
COMMIT;
