"""What orders are for: which vehicles may serve, where they go, what the applicant writes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Purpose:
    """One purpose; ``weight`` is its share on a workday, ``dwell_min`` minutes at each stop, ``stops`` how many."""

    weight: float
    categories: tuple[str, ...]
    destinations: tuple[str, ...]
    passengers: tuple[int, int]
    stops: tuple[int, int]
    dwell_min: tuple[int, int]
    reasons: tuple[tuple[str, str], ...]


GOVERNMENT = ("gov_province", "gov_city", "gov_district", "gov_county", "office")
POOL = ("YJBZ", "QT")
PURPOSES = {
    "meeting": Purpose(
        5.0,
        POOL,
        (*GOVERNMENT, "expo", "court"),
        (1, 4),
        (1, 1),
        (60, 150),
        (
            ("参加安全生产工作会议", "Work safety meeting"),
            ("参加重点项目推进会", "Key project meeting"),
            ("参加预算编制协调会", "Budget coordination meeting"),
            ("参加数字化改革工作例会", "Digital reform meeting"),
        ),
    ),
    "inspection": Purpose(
        5.0,
        ("YJBZ", "QT", "TZZY"),
        ("town", "company", "venue", "hospital", "landmark", "bus", "rail"),
        (2, 4),
        (1, 3),
        (25, 70),
        (
            ("消防安全检查", "Fire safety inspection"),
            ("燃气安全检查", "Gas safety inspection"),
            ("项目现场踏勘", "Project site survey"),
            ("公共场所卫生检查", "Public hygiene inspection"),
        ),
    ),
    "research": Purpose(
        2.0,
        POOL,
        ("town", "company", "university", "landmark"),
        (2, 5),
        (1, 2),
        (50, 110),
        (
            ("基层调研", "Field research"),
            ("企业走访服务", "Visits to companies"),
            ("共同富裕专题调研", "Research on common prosperity"),
        ),
    ),
    "reception": Purpose(
        1.6,
        POOL,
        ("rail", "airport", "expo"),
        (2, 6),
        (1, 2),
        (25, 60),
        (
            ("接站:外地考察团", "Meeting a visiting delegation"),
            ("会务保障接送", "Conference transport"),
        ),
    ),
    "training": Purpose(
        1.2,
        POOL,
        ("university", "venue", "expo"),
        (4, 12),
        (1, 1),
        (120, 210),
        (
            ("业务培训", "Professional training"),
            ("应急演练培训", "Emergency drill training"),
        ),
    ),
    "documents": Purpose(
        14.0,
        ("JYTX",),
        (*GOVERNMENT, "court", "police"),
        (1, 2),
        (2, 3),
        (15, 30),
        (("机要文件传递", "Delivery of confidential documents"), ("公文交换", "Exchange of official documents")),
    ),
    "enforcement": Purpose(
        4.0,
        ("ZFZQ",),
        ("town", "company", "landmark", "bus", "venue", "expo"),
        (2, 4),
        (2, 3),
        (20, 50),
        (
            ("执法巡查", "Enforcement patrol"),
            ("违法建设核查", "Check of unlicensed construction"),
            ("市场执法检查", "Market enforcement check"),
        ),
    ),
    "veterans": Purpose(
        3.0,
        ("QT",),
        ("hospital",),
        (1, 3),
        (1, 1),
        (60, 120),
        (("离退休干部就医保障", "Medical visit of retired officials"),),
    ),
    "emergency": Purpose(
        0.5,
        ("YJBZ", "TZZY"),
        ("town", "hospital", "venue", "company"),
        (2, 4),
        (1, 2),
        (30, 80),
        (
            ("防汛应急值守", "Flood emergency duty"),
            ("突发事件现场处置", "On-site response to an incident"),
            ("道路积水抢险", "Response to road flooding"),
        ),
    ),
}

SERVICE_REASONS = {
    "wash": ("车辆清洗", "Car wash"),
    "fuel": ("车辆加油", "Refuelling"),
    "charging": ("车辆充电", "Charging"),
    "repair": ("车辆保养维修", "Maintenance and repair"),
}
SERVICE_DWELL_MIN = {"wash": (20, 40), "fuel": (8, 14), "charging": (45, 80), "repair": (60, 150)}
REJECTIONS = ("公共交通可以满足出行", "行程与事由不符,请重新填报", "可与其他单位拼车,请协调后再报")
CANCELLATIONS = ("会议改期", "改为视频会议", "行程合并到其他用车")
EMERGENCY_CATEGORIES = PURPOSES["emergency"].categories
