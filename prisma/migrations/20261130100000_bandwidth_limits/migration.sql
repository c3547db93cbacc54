-- How much replication may take of the line between two sites.
CREATE TABLE "BandwidthLimit" (
    "sourceSiteId" TEXT NOT NULL,
    "targetSiteId" TEXT NOT NULL,
    "calendar" JSONB NOT NULL,

    CONSTRAINT "BandwidthLimit_pkey" PRIMARY KEY ("sourceSiteId", "targetSiteId")
);

ALTER TABLE "BandwidthLimit" ADD CONSTRAINT "BandwidthLimit_sourceSiteId_fkey" FOREIGN KEY ("sourceSiteId") REFERENCES "Site"("id") ON DELETE CASCADE ON UPDATE CASCADE;

ALTER TABLE "BandwidthLimit" ADD CONSTRAINT "BandwidthLimit_targetSiteId_fkey" FOREIGN KEY ("targetSiteId") REFERENCES "Site"("id") ON DELETE CASCADE ON UPDATE CASCADE;
