-- CreateTable
CREATE TABLE "PlanTestSettings" (
    "planId" TEXT NOT NULL,
    "testEveryDays" INTEGER NOT NULL,
    "schedule" JSONB,
    "revision" INTEGER NOT NULL,
    "nextAt" TIMESTAMPTZ(3),
    "waitsFor" TEXT,
    "changedAt" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "PlanTestSettings_pkey" PRIMARY KEY ("planId")
);

-- CreateTable
CREATE TABLE "ScheduledTest" (
    "planId" TEXT NOT NULL,
    "dueAt" TIMESTAMPTZ(3) NOT NULL,
    "sequence" BIGSERIAL NOT NULL,
    "planName" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "planRunId" TEXT,
    "beginBy" TIMESTAMPTZ(3) NOT NULL,
    "keepMinutes" INTEGER NOT NULL,
    "giveUpMinutes" INTEGER NOT NULL,
    "note" TEXT,
    "passed" BOOLEAN,
    "settledAt" TIMESTAMPTZ(3),

    CONSTRAINT "ScheduledTest_pkey" PRIMARY KEY ("planId","dueAt")
);

-- CreateTable
CREATE TABLE "PlanEvidence" (
    "planRunId" TEXT NOT NULL,
    "edition" INTEGER NOT NULL,
    "basis" TEXT NOT NULL,
    "madeAt" TIMESTAMPTZ(3) NOT NULL,
    "sha256" TEXT NOT NULL,
    "bytes" INTEGER NOT NULL,
    "files" JSONB NOT NULL,

    CONSTRAINT "PlanEvidence_pkey" PRIMARY KEY ("planRunId","edition")
);

-- CreateTable
CREATE TABLE "PlanEvidenceBundle" (
    "planRunId" TEXT NOT NULL,
    "edition" INTEGER NOT NULL,
    "content" BYTEA NOT NULL,

    CONSTRAINT "PlanEvidenceBundle_pkey" PRIMARY KEY ("planRunId","edition")
);

-- CreateIndex
CREATE INDEX "ScheduledTest_state_idx" ON "ScheduledTest"("state");

-- CreateIndex
CREATE INDEX "PlanRun_followsUp_idx" ON "PlanRun"("followsUp");

-- AddForeignKey
ALTER TABLE "PlanTestSettings" ADD CONSTRAINT "PlanTestSettings_planId_fkey" FOREIGN KEY ("planId") REFERENCES "RecoveryPlan"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "PlanEvidence" ADD CONSTRAINT "PlanEvidence_planRunId_fkey" FOREIGN KEY ("planRunId") REFERENCES "PlanRun"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "PlanEvidenceBundle" ADD CONSTRAINT "PlanEvidenceBundle_planRunId_edition_fkey" FOREIGN KEY ("planRunId", "edition") REFERENCES "PlanEvidence"("planRunId", "edition") ON DELETE CASCADE ON UPDATE CASCADE;
