-- CreateTable
CREATE TABLE "Site" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "nameKey" TEXT NOT NULL,
    "platform" TEXT NOT NULL,
    "settings" JSONB NOT NULL,
    "health" TEXT NOT NULL,
    "healthNote" TEXT,
    "checkedAt" TIMESTAMPTZ(3),
    "createdAt" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "Site_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "SiteSecrets" (
    "siteId" TEXT NOT NULL,
    "sealed" BYTEA NOT NULL,

    CONSTRAINT "SiteSecrets_pkey" PRIMARY KEY ("siteId")
);

-- CreateTable
CREATE TABLE "Machine" (
    "id" TEXT NOT NULL,
    "siteId" TEXT NOT NULL,
    "ref" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "host" TEXT NOT NULL,
    "power" TEXT NOT NULL,
    "hardware" JSONB NOT NULL,
    "guestAgent" BOOLEAN NOT NULL,
    "ownedBy" TEXT,
    "seenAt" TIMESTAMPTZ(3) NOT NULL,
    "present" BOOLEAN NOT NULL,

    CONSTRAINT "Machine_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Policy" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "nameKey" TEXT NOT NULL,
    "priority" INTEGER NOT NULL,
    "settings" JSONB NOT NULL,

    CONSTRAINT "Policy_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Protection" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "stateNote" TEXT,
    "resumeState" TEXT,
    "direction" TEXT NOT NULL,
    "machineId" TEXT NOT NULL,
    "machineKey" TEXT,
    "sourceSiteId" TEXT NOT NULL,
    "sourceRef" TEXT NOT NULL,
    "targetSiteId" TEXT NOT NULL,
    "originalRef" TEXT,
    "policyId" TEXT NOT NULL,
    "replicaId" TEXT NOT NULL,
    "epoch" INTEGER NOT NULL,
    "excludedDisks" TEXT[],
    "adapters" JSONB NOT NULL,
    "hardware" JSONB NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL,
    "summary" JSONB NOT NULL,
    "notes" JSONB NOT NULL,
    "moverId" TEXT,
    "claimedAt" TIMESTAMPTZ(3),

    CONSTRAINT "Protection_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Mover" (
    "id" TEXT NOT NULL,
    "beatAt" TIMESTAMPTZ(3) NOT NULL,
    "expiresAt" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "Mover_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "JobRunner" (
    "id" TEXT NOT NULL,
    "beatAt" TIMESTAMPTZ(3) NOT NULL,
    "expiresAt" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "JobRunner_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Run" (
    "id" TEXT NOT NULL,
    "sequence" BIGSERIAL NOT NULL,
    "protectionId" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "testState" TEXT,
    "over" BOOLEAN NOT NULL,
    "targetSiteId" TEXT NOT NULL,
    "replicaId" TEXT NOT NULL,
    "pointId" TEXT NOT NULL,
    "pointInstant" TIMESTAMPTZ(3) NOT NULL,
    "machineRef" TEXT,
    "addresses" TEXT[],
    "hydrated" DOUBLE PRECISION NOT NULL,
    "failure" TEXT,
    "startedAt" TIMESTAMPTZ(3) NOT NULL,
    "answeredAt" TIMESTAMPTZ(3),
    "endedAt" TIMESTAMPTZ(3),
    "commitDeadline" TIMESTAMPTZ(3),

    CONSTRAINT "Run_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "RunScreenshot" (
    "runId" TEXT NOT NULL,
    "png" BYTEA NOT NULL,

    CONSTRAINT "RunScreenshot_pkey" PRIMARY KEY ("runId")
);

-- CreateTable
CREATE TABLE "Job" (
    "id" TEXT NOT NULL,
    "sequence" BIGSERIAL NOT NULL,
    "kind" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "subjectId" TEXT NOT NULL,
    "subjectName" TEXT NOT NULL,
    "tasks" JSONB NOT NULL,
    "failure" JSONB,
    "question" JSONB,
    "createdAt" TIMESTAMPTZ(3) NOT NULL,
    "endedAt" TIMESTAMPTZ(3),
    "startedBy" TEXT NOT NULL,

    CONSTRAINT "Job_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Event" (
    "id" TEXT NOT NULL,
    "sequence" BIGSERIAL NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "severity" TEXT NOT NULL,
    "code" TEXT NOT NULL,
    "message" TEXT NOT NULL,
    "subjectId" TEXT,
    "subjectName" TEXT,
    "facts" JSONB NOT NULL,

    CONSTRAINT "Event_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Alert" (
    "id" TEXT NOT NULL,
    "sequence" BIGSERIAL NOT NULL,
    "openKey" TEXT,
    "code" TEXT NOT NULL,
    "severity" TEXT NOT NULL,
    "message" TEXT NOT NULL,
    "remedy" TEXT NOT NULL,
    "subjectId" TEXT,
    "subjectName" TEXT,
    "raisedAt" TIMESTAMPTZ(3) NOT NULL,
    "acknowledgedBy" TEXT,
    "resolvedAt" TIMESTAMPTZ(3),

    CONSTRAINT "Alert_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "LagSample" (
    "protectionId" TEXT NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "lagSeconds" DOUBLE PRECISION,
    "bytes" BIGINT NOT NULL,

    CONSTRAINT "LagSample_pkey" PRIMARY KEY ("protectionId","at")
);

-- CreateTable
CREATE TABLE "User" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "nameKey" TEXT NOT NULL,
    "email" TEXT,
    "role" TEXT NOT NULL,
    "passwordHash" TEXT NOT NULL,
    "disabled" BOOLEAN NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL,
    "signedInAt" TIMESTAMPTZ(3),

    CONSTRAINT "User_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Session" (
    "idHash" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL,
    "seenAt" TIMESTAMPTZ(3) NOT NULL,
    "expiresAt" TIMESTAMPTZ(3) NOT NULL,
    "ip" TEXT,
    "userAgent" TEXT,

    CONSTRAINT "Session_pkey" PRIMARY KEY ("idHash")
);

-- CreateTable
CREATE TABLE "ApiToken" (
    "id" TEXT NOT NULL,
    "idHash" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL,
    "expiresAt" TIMESTAMPTZ(3),
    "lastUsedAt" TIMESTAMPTZ(3),

    CONSTRAINT "ApiToken_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "AuditEntry" (
    "id" TEXT NOT NULL,
    "sequence" BIGSERIAL NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "who" TEXT NOT NULL,
    "action" TEXT NOT NULL,
    "subject" TEXT,
    "subjectName" TEXT,
    "outcome" TEXT NOT NULL,
    "facts" JSONB NOT NULL,
    "ip" TEXT,

    CONSTRAINT "AuditEntry_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "IdempotencyKey" (
    "userId" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "requestHash" TEXT NOT NULL,
    "status" INTEGER,
    "body" JSONB,
    "createdAt" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "IdempotencyKey_pkey" PRIMARY KEY ("userId","key")
);

-- CreateTable
CREATE TABLE "SetupLink" (
    "tokenHash" TEXT NOT NULL,
    "expiresAt" TIMESTAMPTZ(3) NOT NULL,
    "usedAt" TIMESTAMPTZ(3),

    CONSTRAINT "SetupLink_pkey" PRIMARY KEY ("tokenHash")
);

-- CreateTable
CREATE TABLE "socket_io_attachments" (
    "id" BIGSERIAL NOT NULL,
    "created_at" TIMESTAMPTZ(6) DEFAULT CURRENT_TIMESTAMP,
    "payload" BYTEA
);

-- CreateIndex
CREATE UNIQUE INDEX "Site_nameKey_key" ON "Site"("nameKey");

-- CreateIndex
CREATE UNIQUE INDEX "Machine_siteId_ref_key" ON "Machine"("siteId", "ref");

-- CreateIndex
CREATE UNIQUE INDEX "Policy_nameKey_key" ON "Policy"("nameKey");

-- CreateIndex
CREATE UNIQUE INDEX "Protection_machineKey_key" ON "Protection"("machineKey");

-- CreateIndex
CREATE INDEX "Protection_machineId_idx" ON "Protection"("machineId");

-- CreateIndex
CREATE INDEX "Protection_moverId_idx" ON "Protection"("moverId");

-- CreateIndex
CREATE INDEX "Protection_sourceSiteId_idx" ON "Protection"("sourceSiteId");

-- CreateIndex
CREATE INDEX "Protection_targetSiteId_idx" ON "Protection"("targetSiteId");

-- CreateIndex
CREATE INDEX "Protection_policyId_idx" ON "Protection"("policyId");

-- CreateIndex
CREATE INDEX "Run_protectionId_startedAt_idx" ON "Run"("protectionId", "startedAt");

-- CreateIndex
CREATE INDEX "Run_over_idx" ON "Run"("over");

-- CreateIndex
CREATE INDEX "Job_createdAt_sequence_idx" ON "Job"("createdAt", "sequence");

-- CreateIndex
CREATE INDEX "Job_subjectId_createdAt_idx" ON "Job"("subjectId", "createdAt");

-- CreateIndex
CREATE INDEX "Job_state_idx" ON "Job"("state");

-- CreateIndex
CREATE INDEX "Event_at_sequence_idx" ON "Event"("at", "sequence");

-- CreateIndex
CREATE INDEX "Event_subjectId_at_idx" ON "Event"("subjectId", "at");

-- CreateIndex
CREATE UNIQUE INDEX "Alert_openKey_key" ON "Alert"("openKey");

-- CreateIndex
CREATE INDEX "Alert_raisedAt_sequence_idx" ON "Alert"("raisedAt", "sequence");

-- CreateIndex
CREATE INDEX "LagSample_at_idx" ON "LagSample"("at");

-- CreateIndex
CREATE UNIQUE INDEX "User_nameKey_key" ON "User"("nameKey");

-- CreateIndex
CREATE INDEX "Session_userId_idx" ON "Session"("userId");

-- CreateIndex
CREATE INDEX "Session_expiresAt_idx" ON "Session"("expiresAt");

-- CreateIndex
CREATE UNIQUE INDEX "ApiToken_idHash_key" ON "ApiToken"("idHash");

-- CreateIndex
CREATE INDEX "ApiToken_userId_idx" ON "ApiToken"("userId");

-- CreateIndex
CREATE INDEX "AuditEntry_at_sequence_idx" ON "AuditEntry"("at", "sequence");

-- CreateIndex
CREATE INDEX "AuditEntry_subject_at_idx" ON "AuditEntry"("subject", "at");

-- CreateIndex
CREATE INDEX "IdempotencyKey_createdAt_idx" ON "IdempotencyKey"("createdAt");

-- CreateIndex
CREATE UNIQUE INDEX "socket_io_attachments_id_key" ON "socket_io_attachments"("id");

-- AddForeignKey
ALTER TABLE "SiteSecrets" ADD CONSTRAINT "SiteSecrets_siteId_fkey" FOREIGN KEY ("siteId") REFERENCES "Site"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Machine" ADD CONSTRAINT "Machine_siteId_fkey" FOREIGN KEY ("siteId") REFERENCES "Site"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Protection" ADD CONSTRAINT "Protection_machineId_fkey" FOREIGN KEY ("machineId") REFERENCES "Machine"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Protection" ADD CONSTRAINT "Protection_sourceSiteId_fkey" FOREIGN KEY ("sourceSiteId") REFERENCES "Site"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Protection" ADD CONSTRAINT "Protection_targetSiteId_fkey" FOREIGN KEY ("targetSiteId") REFERENCES "Site"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Protection" ADD CONSTRAINT "Protection_policyId_fkey" FOREIGN KEY ("policyId") REFERENCES "Policy"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Protection" ADD CONSTRAINT "Protection_moverId_fkey" FOREIGN KEY ("moverId") REFERENCES "Mover"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Run" ADD CONSTRAINT "Run_protectionId_fkey" FOREIGN KEY ("protectionId") REFERENCES "Protection"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "RunScreenshot" ADD CONSTRAINT "RunScreenshot_runId_fkey" FOREIGN KEY ("runId") REFERENCES "Run"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Session" ADD CONSTRAINT "Session_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "ApiToken" ADD CONSTRAINT "ApiToken_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "IdempotencyKey" ADD CONSTRAINT "IdempotencyKey_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;
