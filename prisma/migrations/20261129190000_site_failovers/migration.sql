-- CreateTable
CREATE TABLE "SiteFailover" (
    "id" TEXT NOT NULL,
    "sequence" BIGSERIAL NOT NULL,
    "siteId" TEXT NOT NULL,
    "siteName" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "revision" INTEGER NOT NULL,
    "plans" JSONB NOT NULL,
    "point" JSONB NOT NULL,
    "acceptUnfenced" BOOLEAN NOT NULL,
    "atOnce" INTEGER NOT NULL,
    "startedBy" TEXT NOT NULL,
    "starterId" TEXT,
    "startedAt" TIMESTAMPTZ(3) NOT NULL,
    "endedAt" TIMESTAMPTZ(3),
    "stoppedBy" TEXT,

    CONSTRAINT "SiteFailover_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "SiteFailover_startedAt_sequence_idx" ON "SiteFailover"("startedAt", "sequence");

-- One at a time for each site.
CREATE UNIQUE INDEX "SiteFailover_running_key" ON "SiteFailover"("siteId") WHERE "state" = 'running';
