-- CreateTable
CREATE TABLE "RecoveryPlan" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "nameKey" TEXT NOT NULL,
    "version" INTEGER NOT NULL,

    CONSTRAINT "RecoveryPlan_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "PlanVersion" (
    "planId" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "document" JSONB NOT NULL,
    "savedAt" TIMESTAMPTZ(3) NOT NULL,
    "savedBy" TEXT NOT NULL,
    "comment" TEXT NOT NULL,

    CONSTRAINT "PlanVersion_pkey" PRIMARY KEY ("planId","version")
);

-- CreateTable
CREATE TABLE "PlanSecrets" (
    "planId" TEXT NOT NULL,
    "sealed" BYTEA NOT NULL,

    CONSTRAINT "PlanSecrets_pkey" PRIMARY KEY ("planId")
);

-- CreateTable
CREATE TABLE "PlanRun" (
    "id" TEXT NOT NULL,
    "sequence" BIGSERIAL NOT NULL,
    "planId" TEXT NOT NULL,
    "planName" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "kind" TEXT NOT NULL,
    "followsUp" TEXT,
    "direction" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "plan" JSONB NOT NULL,
    "planRevision" INTEGER NOT NULL,
    "changes" INTEGER NOT NULL,
    "point" JSONB NOT NULL,
    "parameters" JSONB NOT NULL,
    "settings" JSONB NOT NULL,
    "startedBy" TEXT NOT NULL,
    "starterId" TEXT,
    "startedAt" TIMESTAMPTZ(3) NOT NULL,
    "endedAt" TIMESTAMPTZ(3),
    "note" TEXT,

    CONSTRAINT "PlanRun_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "PlanActivity" (
    "planRunId" TEXT NOT NULL,
    "itemId" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "attempt" INTEGER NOT NULL,
    "jobId" TEXT,
    "bootId" TEXT,
    "startedAt" TIMESTAMPTZ(3),
    "endedAt" TIMESTAMPTZ(3),
    "deadline" TIMESTAMPTZ(3),
    "note" TEXT,
    "failure" JSONB,
    "output" TEXT,
    "answer" JSONB,
    "steeredBy" TEXT,

    CONSTRAINT "PlanActivity_pkey" PRIMARY KEY ("planRunId","itemId")
);

-- CreateTable
CREATE TABLE "PlanRunSecrets" (
    "planRunId" TEXT NOT NULL,
    "sealed" BYTEA NOT NULL,

    CONSTRAINT "PlanRunSecrets_pkey" PRIMARY KEY ("planRunId")
);

-- CreateIndex
CREATE UNIQUE INDEX "RecoveryPlan_nameKey_key" ON "RecoveryPlan"("nameKey");

-- CreateIndex
CREATE INDEX "PlanRun_startedAt_sequence_idx" ON "PlanRun"("startedAt", "sequence");

-- CreateIndex
CREATE INDEX "PlanRun_planId_startedAt_idx" ON "PlanRun"("planId", "startedAt");

-- CreateIndex
CREATE INDEX "PlanRun_state_idx" ON "PlanRun"("state");

-- AddForeignKey
ALTER TABLE "PlanVersion" ADD CONSTRAINT "PlanVersion_planId_fkey" FOREIGN KEY ("planId") REFERENCES "RecoveryPlan"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "PlanSecrets" ADD CONSTRAINT "PlanSecrets_planId_fkey" FOREIGN KEY ("planId") REFERENCES "RecoveryPlan"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "PlanActivity" ADD CONSTRAINT "PlanActivity_planRunId_fkey" FOREIGN KEY ("planRunId") REFERENCES "PlanRun"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "PlanRunSecrets" ADD CONSTRAINT "PlanRunSecrets_planRunId_fkey" FOREIGN KEY ("planRunId") REFERENCES "PlanRun"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Steps of plans get in nobody's way, several of one run at a time: as `harmlessKinds` of the domain.
DROP INDEX "Job_exclusive_key";
CREATE UNIQUE INDEX "Job_exclusive_key" ON "Job"("subjectId", ("kind" = 'end-protection'))
    WHERE "state" IN ('queued', 'running', 'waiting')
        AND "kind" NOT IN ('protect', 'resync', 'create-lab', 'scrub', 'plan-step');
